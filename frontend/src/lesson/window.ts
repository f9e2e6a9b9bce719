/** Which cells of a long sequence are shown: as many as fit, those where something happens among them. */
const ROW_CHARACTERS = 34;
const AROUND_CELL = 3;
export const MAX_ROWS = 14;

/** How many rows cells of these texts take in a narrow box. */
export function rowsOf(texts: readonly string[]): number {
  let rows = 1;
  let used = 0;
  for (const { length } of texts) {
    const width = Math.min(ROW_CHARACTERS, length + AROUND_CELL);
    if (used > 0 && used + width > ROW_CHARACTERS) {
      rows += 1;
      used = 0;
    }
    used += width;
  }
  return rows;
}

/** The first and the last cell that are shown (the last one excluded), `focus` among them. */
export function windowOf(texts: readonly string[], focus: number): readonly [number, number] {
  if (rowsOf(texts) <= MAX_ROWS) return [0, texts.length];
  const at = Math.min(texts.length - 1, Math.max(0, focus));
  let [from, to] = [at, at + 1];
  for (;;) {
    const canGrowBack = from > 0 && rowsOf(texts.slice(from - 1, to)) <= MAX_ROWS;
    if (canGrowBack) from -= 1;
    const canGrowOn = to < texts.length && rowsOf(texts.slice(from, to + 1)) <= MAX_ROWS;
    if (canGrowOn) to += 1;
    if (!canGrowBack && !canGrowOn) return [from, to];
  }
}
