// What a key or a draft says about an answer: true for good, false for bad, null for neither.
//
// The arrows up and down are left to scrolling: reading a long answer must not judge it.
import type { Press } from "../components/press.ts";

const CHOICES: ReadonlyMap<string, boolean> = new Map([
  ["y", true],
  ["arrowright", true],
  ["n", false],
  ["arrowleft", false],
]);

export function choiceOf(press: Press): boolean | null {
  if (press.altKey || press.ctrlKey || press.metaKey || press.repeat) return null;
  return CHOICES.get(press.key.toLowerCase()) ?? null;
}

export function choiceOfDraft(draft: unknown): boolean | null {
  const has = draft !== null && typeof draft === "object" && "is_up" in draft;
  return has && typeof draft.is_up === "boolean" ? draft.is_up : null;
}
