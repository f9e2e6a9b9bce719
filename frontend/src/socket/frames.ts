/**
 * Binary frames of the live protocol. Decoding makes typed-array views into the frame's own bytes: nothing is copied
 * and no object is made per row. The layout comes from wire.ts, which app/wire.py writes.
 */
import {
  FrameType,
  HEADER_BYTES,
  HEADER_OFFSET,
  MAGIC,
  ROLLUP_COLUMNS,
  ROLLUP_ROW_BYTES,
  SERIES_COLUMNS,
  SERIES_ROW_BYTES,
  SPAN_COLUMNS,
  SPAN_ROW_BYTES,
  type RollupColumns,
  type SeriesColumns,
  type SpanColumns,
} from "../wire";
import { ProtocolError } from "./errors";

export interface FrameHeader {
  readonly type: number;
  /** Which number a SERIES frame draws; 0 in other frames. */
  readonly series: number;
  /** Acknowledged once drawn. */
  readonly seq: number;
  readonly count: number;
  /** Run time, in ns, that the rows' times count from. */
  readonly base_ns: number;
  readonly unit_ns: number;
  /** Where to resume after this frame. */
  readonly cursor: number;
  /** Spans that were skipped before this frame because the page was too slow. */
  readonly dropped: number;
}

export type Frame =
  | { readonly header: FrameHeader; readonly type: "spans"; readonly columns: SpanColumns }
  | { readonly header: FrameHeader; readonly type: "series"; readonly columns: SeriesColumns }
  | { readonly header: FrameHeader; readonly type: "rollup"; readonly columns: RollupColumns };

interface Column {
  readonly name: string;
  readonly array: new (buffer: ArrayBuffer, offset: number, count: number) => unknown;
  readonly before: number;
}

/** Decodes one frame. Throws ProtocolError, and then nothing of the frame may be used. */
export function decodeFrame(buffer: ArrayBuffer): Frame {
  const header = decodeHeader(buffer);
  switch (header.type) {
    case FrameType.SPANS:
      return { header, type: "spans", columns: columnsOf<SpanColumns>(buffer, header, SPAN_COLUMNS, SPAN_ROW_BYTES) };
    case FrameType.SERIES:
      return {
        header,
        type: "series",
        columns: columnsOf<SeriesColumns>(buffer, header, SERIES_COLUMNS, SERIES_ROW_BYTES),
      };
    case FrameType.ROLLUP:
      return {
        header,
        type: "rollup",
        columns: columnsOf<RollupColumns>(buffer, header, ROLLUP_COLUMNS, ROLLUP_ROW_BYTES),
      };
    default:
      throw new ProtocolError(`frame type ${header.type} is unknown`);
  }
}

function decodeHeader(buffer: ArrayBuffer): FrameHeader {
  if (buffer.byteLength < HEADER_BYTES) {
    throw new ProtocolError(`frame of ${buffer.byteLength} bytes is shorter than its header of ${HEADER_BYTES}`);
  }
  const magic = String.fromCharCode(...new Uint8Array(buffer, HEADER_OFFSET.magic, MAGIC.length));
  if (magic !== MAGIC) throw new ProtocolError(`frame begins with '${magic}', not '${MAGIC}': another protocol version`);
  const view = new DataView(buffer);
  return {
    type: view.getUint8(HEADER_OFFSET.type),
    series: view.getUint8(HEADER_OFFSET.series),
    seq: view.getUint32(HEADER_OFFSET.seq, true),
    count: view.getUint32(HEADER_OFFSET.count, true),
    base_ns: view.getFloat64(HEADER_OFFSET.base_ns, true),
    unit_ns: view.getFloat64(HEADER_OFFSET.unit_ns, true),
    cursor: view.getFloat64(HEADER_OFFSET.cursor, true),
    dropped: view.getFloat64(HEADER_OFFSET.dropped, true),
  };
}

function columnsOf<C>(buffer: ArrayBuffer, header: FrameHeader, columns: readonly Column[], rowBytes: number): C {
  const expected = HEADER_BYTES + header.count * rowBytes;
  if (buffer.byteLength !== expected) {
    throw new ProtocolError(`frame of ${header.count} rows has ${buffer.byteLength} bytes, expected ${expected}`);
  }
  const views: Record<string, unknown> = {};
  for (const column of columns) {
    views[column.name] = new column.array(buffer, HEADER_BYTES + header.count * column.before, header.count);
  }
  return views as C;
}
