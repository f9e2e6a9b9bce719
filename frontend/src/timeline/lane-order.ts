/** In which order the lanes lie below each other: along a batch's way, or by how long each of them waits. */
import type { Lane } from "../wire";

/** A batch travels down the page: drawn by main, made by a worker, moved to the device, consumed. */
const PLACE: Readonly<Record<Lane["role"], number>> = { main: 0, worker: 1, pin: 2, device: 3, consumer: 4 };

export function alongTheWay(lanes: readonly Lane[]): Lane[] {
  return [...lanes].sort((a, b) => a.rank - b.rank || PLACE[a.role] - PLACE[b.role] || a.worker - b.worker || a.lane - b.lane);
}

/** Two lanes change places only if their shares of waiting differ by this: a live picture must not shuffle its lanes. */
export const CLEARLY = 0.05;

/**
 * Consumers on top, then the lane that waits most. `before` is the order of the picture so far, as numbers of lanes;
 * `waitShare` is NaN for a lane that is never seen to wait, which goes to the end.
 */
export function byWaiting(lanes: readonly Lane[], waitShare: (lane: number) => number, before: readonly number[]): Lane[] {
  const place = new Map(before.map((lane, index) => [lane, index]));
  const consumers = alongTheWay(lanes.filter(({ role }) => role === "consumer"));
  const others = alongTheWay(lanes.filter(({ role }) => role !== "consumer"));
  const isNew = others.every(({ lane }) => !place.has(lane));
  const share = ({ lane }: Lane) => {
    const known = waitShare(lane);
    return Number.isNaN(known) ? -1 : known;
  };
  if (isNew) return [...consumers, ...others.sort((a, b) => share(b) - share(a))];
  others.sort((a, b) => (place.get(a.lane) ?? Infinity) - (place.get(b.lane) ?? Infinity) || 0);
  // Insertion sort: a lane climbs past those above it that clearly wait less.
  for (let at = 1; at < others.length; at += 1) {
    for (let to = at; to > 0 && share(others[to]!) > share(others[to - 1]!) + CLEARLY; to -= 1) {
      [others[to - 1], others[to]] = [others[to]!, others[to - 1]!];
    }
  }
  return [...consumers, ...others];
}
