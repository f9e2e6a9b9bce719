/** A lesson's parameters as settings of Explore: those that Explore has under the same name. */
import { film } from "../../store/lesson";
import { clamp } from "../../store/fields";
import { setSetting } from "../../store/settings";
import { SETTINGS, SETTING_NAMES } from "../../store/settings-table";

export function adoptLesson(): void {
  const given = film.value?.log.parameters ?? {};
  for (const name of SETTING_NAMES) {
    const value = given[name];
    const field = SETTINGS[name];
    if (field.type === "number" && typeof value === "number") setSetting(name, clamp(field, value));
    else if (field.type === "flag" && typeof value === "boolean") setSetting(name, value);
    else if (field.type === "choice" && typeof value === "string" && field.choices.includes(value)) setSetting(name, value);
  }
}
