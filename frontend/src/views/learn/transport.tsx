/** Forth, back, to a line, along the whole: the scrubber stands under a strip that shows what kinds of steps there are. */
import { useMemo } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { stopsAt } from "../../lesson/breakpoints";
import type { Log, Step } from "../../lesson/log";
import { Icon, type IconName } from "../../parts/icon";
import { SPEEDS, atEnd, breakpoints, film, goTo, picture, playing, reset, runBy, speed, stepBy, togglePlaying } from "../../store/lesson";
import { tOr } from "../../i18n";
import { laneName } from "./lanes";
import { tl, type WordKey } from "./words";

export function TransportBar() {
  const shown = film.value;
  const { cursor } = picture.value;
  const last = shown?.last ?? -1;
  const stops = breakpoints.value.length > 0;
  return (
    <div class="steps" role="group" aria-label={tl("transport.title")}>
      <Narration />
      <div class="buttons">
        <Button name="reset" icon="restart" keys="Home" disabled={cursor < 0} onPress={reset} />
        <Button name={stops ? "back_to_line" : "to_beginning"} icon="first" keys="Shift ←" disabled={cursor < 0} onPress={() => runBy(-1)} />
        <Button name="back" icon="left" keys="←" disabled={cursor < 0} onPress={() => stepBy(-1)} />
        <Button name={playing.value ? "pause" : "play"} icon={playing.value ? "pause" : "play"} keys="Space" disabled={!shown} onPress={togglePlaying} />
        <Button name="forth" icon="right" keys="→" disabled={!shown || atEnd.value} onPress={() => stepBy(1)} isMain />
        <Button name={stops ? "run_to_line" : "to_end"} icon="last" keys="Shift →" disabled={!shown || atEnd.value} onPress={() => runBy(1)} />
      </div>
      <div class="scrubber">
        {shown && <Strip log={shown.log} />}
        <input
          id="scrubber"
          type="range"
          min={0}
          max={last + 1}
          value={cursor + 1}
          disabled={!shown}
          style={{ "--filled": `${((cursor + 1) / Math.max(1, last + 1)) * 100}%` }}
          aria-label={tl("transport.scrub")}
          aria-valuetext={tl("transport.at", { step: cursor + 1, count: last + 1 })}
          onInput={(event) => goTo(event.currentTarget.valueAsNumber - 1)}
        />
      </div>
      <output class="count" title={tl("transport.at", { step: cursor + 1, count: last + 1 })}>
        <b style={{ minWidth: `${String(last + 1).length}ch` }}>{cursor + 1}</b> / {last + 1}
      </output>
      <select
        class="field"
        aria-label={tl("transport.speed")}
        title={tl("transport.speed")}
        value={speed.value}
        onChange={(event) => (speed.value = Number(event.currentTarget.value) as (typeof SPEEDS)[number])}
      >
        {SPEEDS.map((perSecond) => (
          <option key={perSecond} value={perSecond}>
            {tl("transport.per_second", { count: perSecond })}
          </option>
        ))}
      </select>
    </div>
  );
}

interface ButtonProps {
  readonly name: string;
  readonly icon: IconName;
  readonly keys: string;
  readonly disabled: boolean;
  readonly isMain?: boolean;
  readonly onPress: () => void;
}

function Button({ name, icon, keys, disabled, isMain = false, onPress }: ButtonProps) {
  const label = tl(`transport.${name}` as WordKey);
  return (
    <button
      type="button"
      class={`button icon${isMain ? " primary" : ""}`}
      // Disabled by the reader's own press, a button must not lose the focus.
      aria-disabled={disabled}
      title={`${label} (${keys})`}
      aria-label={label}
      onClick={() => !disabled && onPress()}
    >
      <Icon name={icon} />
    </button>
  );
}

/** One sentence: what has just happened. Screen readers hear it too. */
export function Narration() {
  return (
    <p class="narration" role="status">
      {narrated(picture.value.step)}
    </p>
  );
}

function narrated(step: Step | null): ComponentChildren {
  const log = film.value?.log;
  if (!log) return " ";
  if (step === null) return tl("step.before");
  const frame = picture.value.stack.find(({ id }) => id === step.frame);
  const name = !frame || frame.function === "<module>" ? tl("picture.module") : frame.function;
  const ended = atEnd.value && log.cut === "" ? ` ${log.fault ? tl("step.failed", { type: log.fault.type }) : tl("step.end")}` : "";
  const span = step.span === null ? undefined : log.spans[step.span];
  if (span) {
    return tl(span.batch === null ? "step.engine" : "step.engine_batch", { lane: laneName(log, log.lanes[span.lane] ?? ""), kind: tOr(`kind.${span.kind}.name`, span.kind), batch: span.batch ?? 0 }) + ended;
  }
  if (step.event === "return" && frame?.function === "<module>") return ended.trim();
  return tl(`step.${step.event}`, { name, line: step.line, value: step.value ?? "" }) + ended;
}

const HEIGHT = 18;
const GROUPS = ["line", "call", "yield", "raise"] as const;
type Group = (typeof GROUPS)[number];
const GROUP_OF: Readonly<Record<Step["event"], Group>> = {
  line: "line",
  engine: "line",
  call: "call",
  return: "call",
  yield: "yield",
  resume: "yield",
  raise: "raise",
};

/** All steps side by side: as high as the calls are deep, in four tones, with what was printed below. */
function Strip({ log }: { readonly log: Log }) {
  const count = Math.max(1, log.steps.length);
  const drawn = useMemo(() => strip(log), [log]);
  const stops = new Set(breakpoints.value);
  return (
    <svg class="strip" viewBox={`0 0 ${count} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {GROUPS.map((group) => (
        <path key={group} class={group} d={drawn[group]} />
      ))}
      <path class="wrote" d={drawn.wrote} />
      {stops.size > 0 && (
        <path class="stops" d={log.steps.flatMap((step, at) => (stopsAt(step, stops) ? `M${at} 0h1v${HEIGHT}h-1z` : [])).join("")} />
      )}
      {picture.value.cursor >= 0 && <path class="here" d={`M${picture.value.cursor} 0h1v${HEIGHT}h-1z`} />}
    </svg>
  );
}

function strip(log: Log): Record<Group | "wrote", string> {
  const found: Record<Group | "wrote", string> = { line: "", call: "", yield: "", raise: "", wrote: "" };
  const deepest = Math.max(2, ...log.steps.map(({ stack }) => stack.length));
  log.steps.forEach((step, at) => {
    const height = step.event === "engine" ? 6 : 3 + (step.stack.length / deepest) * (HEIGHT - 7);
    found[GROUP_OF[step.event]] += `M${at} ${HEIGHT - 3}v${-height.toFixed(1)}h0.8v${height.toFixed(1)}z`;
    if (step.output !== "") found.wrote += `M${at} ${HEIGHT - 2}h0.8v2h-0.8z`;
  });
  return found;
}
