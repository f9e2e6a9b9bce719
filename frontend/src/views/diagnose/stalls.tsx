/** The long waits, longest first. Choosing one moves the timeline there and draws the arrow to what it waited for. */
import { useRef } from "preact/hooks";
import { said, t, tCount } from "../../i18n";
import { duration, joined, moment, number } from "../../i18n/format";
import { Swatch } from "../../parts/swatch";
import { chooseStall, diagnosis, stallId } from "../../store/diagnosis";
import { clearSelection, selectedStall } from "../../store/selection";
import { NO_BATCH, type Stall } from "../../wire";
import { Coming, NotMeasured } from "./section";
import { phaseName, phasePaint, workerName } from "./words";

export function Stalls() {
  const known = diagnosis.value;
  const stalls = known?.stalls ?? [];
  return (
    <section id="stalls" aria-labelledby="stalls-title" class="diagnosis-section stalls-section">
      <div class="section-head">
        <h2 id="stalls-title">{t("stalls.title")}</h2>
        {known && known.stall_count > 0 && (
          <span class="note">
            {tCount("stalls.counted", known.stall_count, number(known.stall_count))} · {joined(duration(known.stall_ns))}
          </span>
        )}
        <p>
          {known?.stall_threshold_ns != null ? t("stalls.threshold", { time: joined(duration(known.stall_threshold_ns)) }) : t("stalls.about")}{" "}
          {stalls.length > 0 && t("stalls.click")}
        </p>
      </div>
      {known && known.stall_count === 0 && known.stall_threshold_ns !== null && <p class="hint good">{t("stalls.none")}</p>}
      <Coming />
      <NotMeasured what="stalls" />
      <p id="stalls-keys" class="spoken">
        {t("stalls.keys")}
      </p>
      {stalls.length > 0 && <List stalls={stalls} />}
      {known && stalls.length < known.stall_count && stalls.length > 0 && (
        <p class="small quiet more">{t("stalls.more", { shown: number(stalls.length), count: number(known.stall_count) })}</p>
      )}
    </section>
  );
}

function List({ stalls }: { readonly stalls: readonly Stall[] }) {
  const list = useRef<HTMLUListElement>(null);
  const longest = stalls[0]!.wait_ns;
  const move = (event: KeyboardEvent) => {
    if (event.key === "Escape") return clearSelection();
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0) return;
    const rows = [...list.current!.querySelectorAll("button")];
    const next = rows.indexOf(document.activeElement as HTMLButtonElement) + by;
    if (next < 0 || next >= rows.length) return;
    event.preventDefault();
    rows[next]!.focus({ preventScroll: true });
    choose(stalls[next]!, rows[next]!);
  };
  return (
    <ul class="stalls" ref={list} onKeyDown={move} aria-describedby="stalls-keys">
      {stalls.map((stall) => (
        <Row key={`${stall.lane} ${stall.start_ns}`} stall={stall} longest={longest} />
      ))}
    </ul>
  );
}

/** Both the arrow and the row that was chosen are in sight then. */
function choose(stall: Stall, row: HTMLElement): void {
  chooseStall(stall);
  document.querySelector(".axis-area")?.scrollIntoView({ block: "nearest" });
  // On a phone there is no room for both.
  if (matchMedia("(min-width: 900px)").matches) row.scrollIntoView({ block: "nearest" });
}

function Row({ stall, longest }: { readonly stall: Stall; readonly longest: number }) {
  const isChosen = stallId(stall) === selectedStall.value;
  return (
    <li>
      <button type="button" class="stall" aria-pressed={isChosen} onClick={(event) => choose(stall, event.currentTarget)}>
        <span class="long">
          <strong>{joined(duration(stall.wait_ns))}</strong>
          <span class="meter" aria-hidden="true">
            <span style={{ width: `${Math.max(2, (stall.wait_ns / longest) * 100)}%` }} />
          </span>
        </span>
        <span class="where">
          <span>{t("stalls.at", { time: moment(stall.start_ns, 1e7) })}</span>
          {stall.batch !== NO_BATCH && <span>{t("batch.position", { batch: number(stall.batch), epoch: number(stall.epoch) })}</span>}
          {stall.worker !== null && <span>{workerName(stall.worker)}</span>}
          <span class="cause">
            <Swatch paint={phasePaint(stall.cause)} />
            {phaseName(stall.cause)}
          </span>
          {stall.start_up && <span class="chip">{t("stalls.start_up")}</span>}
          {stall.hol_ns !== null && stall.hol_ns > 0 && (
            <span class="chip notice" title={t("stalls.order_about")}>
              {t("stalls.order", { time: joined(duration(stall.hol_ns)) })}
            </span>
          )}
        </span>
        <span class="why">{said(stall.sentence)}</span>
      </button>
    </li>
  );
}
