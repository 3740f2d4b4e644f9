// From a key press to what it means while one answer is rated. Pure: only the event's fields.
import type { Press } from "../components/press.ts";
import { MAX_RATING } from "./state.ts";

export type Command =
  | { readonly does: "rate"; readonly overall: number }
  | { readonly does: "flag"; readonly index: number }
  | { readonly does: "next" | "back" };

// Without the letters that mean something on every page, and without X: "all are bad".
const LETTERS = "ABCDEHIJKMNOPQTWYZ";

export interface FlagKey {
  readonly letter: string;
  readonly shift: boolean;
}

/** The key of each flag: the letters in turn, then the same with Shift. */
export function flagKey(index: number): FlagKey | null {
  const letter = LETTERS[index % LETTERS.length] ?? "";
  return index < 2 * LETTERS.length ? { letter, shift: index >= LETTERS.length } : null;
}

export function commandOf(press: Press, numFlags: number): Command | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  if (press.key === "Enter" || press.key === "ArrowRight") {
    return press.repeat ? null : { does: "next" };
  }
  if (press.key === "ArrowLeft") return press.repeat ? null : { does: "back" };
  if (press.repeat) return null;
  const digit = Number(press.key);
  if (/^\d$/.test(press.key)) {
    return digit >= 1 && digit <= MAX_RATING ? { does: "rate", overall: digit } : null;
  }
  return press.key.length === 1 ? flagOf(press, numFlags) : null;
}

function flagOf(press: Press, numFlags: number): Command | null {
  const at = LETTERS.indexOf(press.key.toUpperCase());
  const index = at + (press.shiftKey ? LETTERS.length : 0);
  return at >= 0 && index < numFlags ? { does: "flag", index } : null;
}
