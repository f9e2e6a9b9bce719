/** Running to a line, and back to it. A breakpoint is the place "source:line", the line as it is numbered on screen. */
import type { Log, Step } from "./log";

export const MAX_BREAKPOINTS = 32;

export const place = (source: number, line: number): string => `${source}:${line}`;

/** What is written in a link: "7" or "1:7" (of what the program steps into), separated by commas. */
export function readBreakpoints(text: string): string[] {
  const found = text.split(",").flatMap((one) => {
    const match = /^(?:(\d{1,2}):)?(\d{1,5})$/.exec(one.trim());
    return match ? [place(Number(match[1] ?? 0), Number(match[2]))] : [];
  });
  return [...new Set(found)].slice(0, MAX_BREAKPOINTS);
}

export function writeBreakpoints(breakpoints: readonly string[]): string {
  return breakpoints.map((one) => one.replace(/^0:/, "")).join(",");
}

export function toggled(breakpoints: readonly string[], one: string): readonly string[] {
  if (breakpoints.includes(one)) return breakpoints.filter((other) => other !== one);
  return breakpoints.length < MAX_BREAKPOINTS ? [...breakpoints, one] : breakpoints;
}

/** Whether the program stops at this step: it is about to run the line. Engine steps are at their line as well. */
export function stopsAt(step: Step, breakpoints: ReadonlySet<string>): boolean {
  return (step.event === "line" || step.event === "engine") && breakpoints.has(place(step.source, step.line));
}

/** The next step that stops, or the last one; backwards the one before, or -1. */
export function runTo(log: Log, cursor: number, breakpoints: ReadonlySet<string>, by: 1 | -1): number {
  for (let at = cursor + by; at >= 0 && at < log.steps.length; at += by) {
    if (stopsAt(log.steps[at]!, breakpoints)) return at;
  }
  return by > 0 ? log.steps.length - 1 : -1;
}
