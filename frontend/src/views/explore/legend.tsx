/** What the colours and textures mean: only those that can appear. */
import { t, type Key } from "../../i18n";
import { Swatch } from "../../parts/swatch";
import type { Paint } from "../../timeline/paints";

const SHOWN: readonly Paint[] = ["read", "decode", "transform", "collate", "transfer", "step", "waiting", "blocked", "main", "observer"];

export function Legend() {
  return (
    <ul class="legend" aria-label={t("legend.title")}>
      {SHOWN.map((paint) => (
        <li key={paint}>
          <Swatch paint={paint} />
          {t(`paint.${paint}` as Key)}
        </li>
      ))}
    </ul>
  );
}
