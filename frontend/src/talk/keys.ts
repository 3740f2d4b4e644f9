// From a key press outside text fields to what it means for the conversation. Pure.
import type { Press } from "../components/press.ts";

export type Command =
  | { readonly does: "best" | "harmful"; readonly index: number }
  | { readonly does: "again" | "edit" | "write" | "fold" }
  | { readonly does: "version"; readonly step: -1 | 1 };

const WORDS: Readonly<Record<string, Command>> = {
  n: { does: "again" },
  e: { does: "edit" },
  m: { does: "write" },
  h: { does: "fold" },
  ",": { does: "version", step: -1 },
  ".": { does: "version", step: 1 },
};

/** Letters A to D or 1 to 4 choose; Shift and a letter name the most harmful reply. */
export function commandOf(press: Press): Command | null {
  if (press.repeat || press.ctrlKey || press.metaKey || press.altKey) return null;
  const index = indexOf(press.key);
  if (index !== null) return { does: press.shiftKey ? "harmful" : "best", index };
  return press.shiftKey ? null : (WORDS[press.key.toLowerCase()] ?? null);
}

/** With Shift the digit row types signs, and "!" belongs to the page. */
function indexOf(key: string): number | null {
  if (/^[a-d]$/i.test(key)) return key.toLowerCase().charCodeAt(0) - 97;
  return /^[1-4]$/.test(key) ? Number(key) - 1 : null;
}

/** Enter sends; Shift makes a new line, and while an input method composes it picks a word. */
export function sends(press: Press & { readonly isComposing: boolean }): boolean {
  const held = press.shiftKey || press.ctrlKey || press.metaKey || press.altKey;
  return press.key === "Enter" && !held && !press.repeat && !press.isComposing;
}
