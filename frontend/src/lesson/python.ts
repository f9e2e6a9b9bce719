/** Python in pieces for colouring. Line by line, with the one state that lasts over lines: a string in triple quotes. */
export type TokenKind = "word" | "string" | "digits" | "comment" | "name" | "";

export interface Token {
  readonly text: string;
  readonly kind: TokenKind;
}

const WORDS = new Set(
  (
    "and as assert async await break class continue def del elif else except finally for from global if import in is " +
    "lambda nonlocal not or pass raise return try while with yield True False None match case"
  ).split(" "),
);
const TOKENS = /(#.*$)|([rbfRBF]{0,2}(?:"""|'''))|([rbfRBF]{0,2}(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))|(\b\d[\d_]*(?:\.\d+)?(?:e-?\d+)?\b)|([A-Za-z_]\w*)/g;

export function tokenLines(lines: readonly string[]): Token[][] {
  let open: string | null = null;
  return lines.map((line) => {
    const found: Token[] = [];
    let at = 0;
    const push = (to: number, kind: TokenKind) => {
      if (to > at) found.push({ text: line.slice(at, to), kind });
      at = to;
    };
    const close = (from: number): boolean => {
      const end = line.indexOf(open!, from);
      push(end < 0 ? line.length : end + 3, "string");
      if (end >= 0) open = null;
      return end >= 0;
    };
    if (open !== null && !close(0)) return found;
    TOKENS.lastIndex = at;
    for (let match = TOKENS.exec(line); match; TOKENS.lastIndex = at, match = TOKENS.exec(line)) {
      push(match.index, "");
      const [whole, comment, triple, string, digits, name] = match;
      if (triple !== undefined) {
        open = triple.slice(-3);
        if (!close(match.index + triple.length)) break;
        continue;
      }
      const kind = comment !== undefined ? "comment" : string !== undefined ? "string" : digits !== undefined ? "digits" : WORDS.has(name!) ? "word" : "name";
      push(match.index + whole.length, kind);
      if (at >= line.length) break;
    }
    push(line.length, "");
    return found;
  });
}
