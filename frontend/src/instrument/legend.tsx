/** What the colours and textures mean: only those that can appear. */
import { t, type Key } from "../i18n";
import { Swatch } from "../parts/swatch";
import { kinds, revision } from "../store/recording";
import type { Paint } from "../timeline/paints";

const SHOWN: readonly Paint[] = ["read", "decode", "transform", "collate", "transfer", "step", "forward", "backward", "optimizer", "waiting", "blocked", "main", "observer"];

/** Parts of a step, which are known only where the training loop marks them. */
const MARKED: ReadonlySet<Paint> = new Set(["forward", "backward", "optimizer"]);

export function Legend() {
  void revision.value;
  return (
    <ul class="legend" aria-label={t("legend.title")}>
      {SHOWN.filter((paint) => !MARKED.has(paint) || kinds.hasStage(paint)).map((paint) => (
        <li key={paint}>
          <Swatch paint={paint} />
          {t(`paint.${paint}` as Key)}
        </li>
      ))}
    </ul>
  );
}
