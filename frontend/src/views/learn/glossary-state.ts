/** Whether the glossary is open, and at which term. */
import { signal } from "@preact/signals";

export const glossary = signal<{ readonly term: string } | null>(null);

export function openGlossary(term = ""): void {
  glossary.value = { term };
}
