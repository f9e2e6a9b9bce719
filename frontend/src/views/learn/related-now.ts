/** What is lit up now, because the pointer or the keyboard is on something that it belongs to. */
import { computed } from "@preact/signals";
import { related } from "../../lesson/related";
import { film, picture, pointed } from "../../store/lesson";

export const relatedNow = computed(() => related(picture.value, film.value?.log.sources ?? [], pointed.value));
