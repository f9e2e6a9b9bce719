/**
 * Prose is plain text with four marks: `code`, *emphasis*, [[term]] or [[term|as written]] for the glossary, and {name}
 * for a measured number; {?name} is one that would give the prediction away, and waits for it. It is cut into pieces here and never becomes HTML by itself.
 */
export type Piece =
  | { readonly kind: "text" | "code" | "em"; readonly text: string }
  | { readonly kind: "term"; readonly term: string; readonly text: string }
  | { readonly kind: "measure"; readonly name: string; readonly waits: boolean };

const MARKS = /`([^`]+)`|\*([^*\s](?:[^*]*[^*\s])?)\*|\[\[([\w-]+)(?:\|([^\]]+))?\]\]|\{(\??)(\w+)\}/g;

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(MARKS)) {
    if (match.index > at) found.push({ kind: "text", text: text.slice(at, match.index) });
    const [, code, em, term, written, waits, name] = match;
    if (code !== undefined) found.push({ kind: "code", text: code });
    else if (em !== undefined) found.push({ kind: "em", text: em });
    else if (term !== undefined) found.push({ kind: "term", term, text: written ?? term });
    else found.push({ kind: "measure", name: name!, waits: waits === "?" });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ kind: "text", text: text.slice(at) });
  return found;
}

/** The text without its marks, for labels that have no room for them. */
export function unmarked(text: string): string {
  return pieces(text)
    .map((piece) => (piece.kind === "measure" ? "" : piece.text))
    .join("");
}

/** The text without its code spans, for a test that no number was typed by hand. */
export function withoutCode(text: string): string {
  return text.replace(/`[^`]+`/g, "").replace(/\{\??\w+\}/g, "").replace(/\[\[[\w-]+\|/g, "[[");
}
