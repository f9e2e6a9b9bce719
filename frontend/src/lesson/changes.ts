/** Which lines of a program differ from those of another: the longest common subsequence stays. */
export function changedLines(before: readonly string[], after: readonly string[]): ReadonlySet<number> {
  const rows = before.length;
  const columns = after.length;
  const common = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
  for (let row = rows - 1; row >= 0; row -= 1) {
    for (let column = columns - 1; column >= 0; column -= 1) {
      common[row]![column] =
        before[row] === after[column] ? common[row + 1]![column + 1]! + 1 : Math.max(common[row + 1]![column]!, common[row]![column + 1]!);
    }
  }
  const changed = new Set<number>();
  for (let row = 0, column = 0; column < columns; ) {
    if (row < rows && before[row] === after[column]) {
      row += 1;
      column += 1;
    } else if (row < rows && common[row + 1]![column]! >= common[row]![column + 1]!) {
      row += 1;
    } else {
      changed.add(column);
      column += 1;
    }
  }
  return changed;
}
