/** What a stall waited for, as two spans that an arrow can join. */
import { Kind, type PhaseName, type Stall, type StallSpan } from "../wire";
import type { Blame, Stretch } from "./arrow";

/** The span that stands for a phase of a batch's way. */
const SPAN_OF: Partial<Record<PhaseName, number>> = {
  fetch: Kind.FETCH,
  collate: Kind.COLLATE,
  send: Kind.SEND,
  receive: Kind.RECEIVE,
  pin: Kind.PIN,
  copy: Kind.COPY,
};

export interface Busy extends Stretch {
  readonly batch: { readonly epoch: number; readonly batch: number };
}

/**
 * The arrow of a stall; null where nothing of its batch was recorded.
 *
 * A batch that was queued waited for what its worker did before it: `busyAt` finds that span of a lane at a time.
 */
export function blameOf(stall: Stall, busyAt: (lane: number, ns: number) => Busy | null): Blame | null {
  const wait = { lane: stall.lane, startNs: stall.start_ns, endNs: stall.end_ns };
  const own = { epoch: stall.epoch, batch: stall.batch };
  if (stall.cause === "queue" && stall.worker_lane !== null) {
    const before = busyAt(stall.worker_lane, stall.start_ns);
    if (before) return { batch: before.batch, wait, work: stretch(before.lane, before.startNs, before.endNs), sample: null };
  }
  const span = spanOf(stall);
  if (!span) return null;
  const isRead = span.kind === Kind.FETCH && stall.item !== null;
  const sample = isRead ? stretch(span.lane, stall.item!.start_ns, stall.item!.start_ns + stall.item!.duration_ns) : null;
  return { batch: own, wait, work: stretch(span.lane, span.start_ns, span.end_ns), sample };
}

/** The span of the cause; else the one that lies in most of the wait. */
function spanOf(stall: Stall): StallSpan | undefined {
  const named = stall.spans.find(({ kind }) => kind === SPAN_OF[stall.cause]);
  if (named) return named;
  const inside = ({ start_ns, end_ns }: StallSpan) => Math.min(end_ns, stall.end_ns) - Math.max(start_ns, stall.start_ns);
  return [...stall.spans].sort((a, b) => inside(b) - inside(a))[0];
}

const stretch = (lane: number, startNs: number, endNs: number): Stretch => ({ lane, startNs, endNs });
