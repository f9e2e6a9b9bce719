/** What the reader must know to trust the picture: what was cut, dropped, lost, simulated, or came to a bad end. */
import { t } from "../i18n";
import { number } from "../i18n/format";
import { gaps, revision, spans } from "../store/recording";
import { isLive, lanes, reason, state, status, truncated } from "../store/run";
import { leftOut } from "../store/past";
import { frozen } from "../store/window";
import { Flag } from "../wire";

export function Notes() {
  void revision.value;
  const lost = status.value?.lost_events ?? 0;
  const simulated = lanes.value.some(({ lane }) => (spans.laneFlags[lane]! & Flag.SIMULATED) !== 0);
  const ended = state.value === "failed" || state.value === "interrupted";
  const notes: [tone: string, text: string][] = [];
  if (ended) notes.push(["problem", reason.value || t(state.value === "failed" ? "note.failed" : "note.interrupted")]);
  else if (reason.value) notes.push(["", reason.value]);
  if (truncated.value) notes.push(["notice", t("note.truncated", { why: truncated.value })]);
  if (lost > 0) notes.push(["notice", t("note.lost", { count: number(lost) })]);
  if (gaps.total > 0) notes.push(["notice", t("note.not_received", { count: number(gaps.total) })]);
  if (leftOut.value > 0) notes.push(["notice", t("note.too_many", { count: number(leftOut.value) })]);
  if (simulated) notes.push(["notice", t("note.simulated")]);
  if (frozen.value && isLive.value) notes.push(["live", t("note.frozen")]);
  return (
    <div class="timeline-notes">
      {notes.map(([tone, text]) => (
        <span key={text} class={`chip note-chip ${tone}`}>
          {text}
        </span>
      ))}
    </div>
  );
}
