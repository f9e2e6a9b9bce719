/** Nothing is open yet: one button that shows what this is. */
import { t } from "../../i18n";
import { Icon } from "../../parts/icon";
import { busy, startFirst } from "../../store/actions";
import { mayOperate } from "../../store/session";

export function Empty() {
  return (
    <section class="pane empty-timeline" aria-label={t("timeline.title")}>
      <Picture />
      <h1>{t("empty.title")}</h1>
      <p>{t("empty.about")}</p>
      <button type="button" class="button primary" disabled={busy.value || !mayOperate.value} onClick={() => void startFirst()}>
        <Icon name="play" />
        {t("empty.start")}
      </button>
      <p class="small">{mayOperate.value ? t("empty.or") : t("empty.viewer")}</p>
    </section>
  );
}

interface Piece {
  readonly x: number;
  readonly width: number;
  readonly paint: string;
}

/** A quiet drawing of what will be seen: two workers in turn, and a training step that waits for its first batch. */
const ROWS: readonly (readonly Piece[])[] = [
  [
    { x: 8, width: 118, paint: "read" },
    { x: 128, width: 20, paint: "collate" },
    { x: 150, width: 8, paint: "transfer" },
    { x: 160, width: 112, paint: "read" },
    { x: 274, width: 20, paint: "collate" },
    { x: 296, width: 8, paint: "transfer" },
    { x: 306, width: 124, paint: "read" },
    { x: 432, width: 20, paint: "collate" },
    { x: 454, width: 8, paint: "transfer" },
    { x: 464, width: 88, paint: "read" },
  ],
  [
    { x: 20, width: 136, paint: "read" },
    { x: 158, width: 20, paint: "collate" },
    { x: 180, width: 8, paint: "transfer" },
    { x: 190, width: 140, paint: "read" },
    { x: 332, width: 20, paint: "collate" },
    { x: 354, width: 8, paint: "transfer" },
    { x: 364, width: 132, paint: "read" },
    { x: 498, width: 20, paint: "collate" },
    { x: 520, width: 8, paint: "transfer" },
  ],
  [
    { x: 8, width: 152, paint: "waiting" },
    { x: 162, width: 26, paint: "step" },
    { x: 190, width: 52, paint: "step" },
    { x: 244, width: 60, paint: "waiting" },
    { x: 306, width: 52, paint: "step" },
    { x: 364, width: 52, paint: "step" },
    { x: 418, width: 44, paint: "waiting" },
    { x: 464, width: 52, paint: "step" },
    { x: 530, width: 22, paint: "step" },
  ],
];

function Picture() {
  return (
    <svg class="empty-picture" viewBox="0 0 560 96" aria-hidden="true">
      {ROWS.map((row, index) => (
        <g key={index}>
          <path d={`M0 ${index * 32 + 31.5}H560`} stroke="var(--rule)" />
          {row.map(({ x, width, paint }) =>
            paint === "waiting" ? (
              <rect key={x} x={x + 0.5} y={index * 32 + 8.5} width={width - 1} height={15} fill="none" stroke="var(--paint-waiting)" />
            ) : (
              <rect key={x} x={x} y={index * 32 + 8} width={width} height={16} fill={`var(--paint-${paint})`} />
            ),
          )}
        </g>
      ))}
    </svg>
  );
}
