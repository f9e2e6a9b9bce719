/** Guesses and answers against what was measured. Nothing is right because a file says so: the log of this run does. */
import type { Log, Question, Task, Value } from "./log";

export function answerOf(log: Log, { measure }: Question): Value | null {
  return log.measures[measure]?.value ?? null;
}

/** Whether a given answer, a number or the name of a choice, agrees with the measured one; null while nothing is measured. */
export function isRight(log: Log, question: Question, given: string): boolean | null {
  const answer = answerOf(log, question);
  if (answer === null) return null;
  if (question.choices.length > 0 || typeof answer !== "number") return String(answer) === given;
  const number = Number(given);
  if (given.trim() === "" || !Number.isFinite(number)) return false;
  return Math.abs(number - answer) <= Math.abs(answer) * question.tolerance + 1e-9;
}

export function isMended(log: Log, task: Task): boolean {
  return log.measures[task.measure]?.value === task.wanted;
}
