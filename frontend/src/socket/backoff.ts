/** When to try again after a lost connection: doubling waits with jitter, so that many pages do not return at once. */

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 15_000;

/** After this many failures in a row the page stops trying and says so. */
export const MAX_ATTEMPTS = 10;

/**
 * The wait before attempt number `attempt` (1 is the first retry), in ms, or null when it is time to give up.
 * `random` is in 0..1; half of each wait is fixed, so that a retry is never immediate.
 */
export function waitBefore(attempt: number, random: number): number | null {
  if (attempt > MAX_ATTEMPTS) return null;
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random);
}
