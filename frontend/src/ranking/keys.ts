// From a key press to what it means for the order. Pure: it reads only the fields of the event.
import type { Press } from "../components/press.ts";

export type Command =
  | { readonly does: "place" | "tie"; readonly letter: string }
  | { readonly does: "back" | "remove" | "toggle-tie" | "undo" | "all-bad" | "submit" }
  | { readonly does: "move" | "focus"; readonly direction: -1 | 1 };

const DIRECTIONS: Readonly<Record<string, -1 | 1>> = {
  ArrowUp: -1,
  ArrowLeft: -1,
  ArrowDown: 1,
  ArrowRight: 1,
};

export function commandOf(press: Press): Command | null {
  const control = press.ctrlKey || press.metaKey;
  if (press.key === "Enter") return press.repeat ? null : { does: "submit" };
  if (control) return press.key.toLowerCase() === "z" ? { does: "undo" } : null;
  const direction = DIRECTIONS[press.key];
  if (direction) return { does: press.altKey ? "move" : "focus", direction };
  if (press.altKey) return null;
  if (press.key === "Backspace") return { does: "back" };
  if (press.key === "Delete") return { does: "remove" };
  if (press.key === "=") return { does: "toggle-tie" };
  if (press.key.toLowerCase() === "x") return press.repeat ? null : { does: "all-bad" };
  const letter = letterOf(press);
  return letter && !press.repeat ? { does: press.shiftKey ? "tie" : "place", letter } : null;
}

/**
 * A to I, or 1 to 9. With Shift the digit row types signs, so its physical key decides.
 * F and G mean flagging and the guidelines on every page: those answers go by their digit.
 */
function letterOf(press: Press): string | null {
  if (/^[a-ehi]$/i.test(press.key)) return press.key.toUpperCase();
  const digit = /^[1-9]$/.exec(press.key)?.[0] ?? /^Digit([1-9])$/.exec(press.code)?.[1];
  return digit ? String.fromCharCode(64 + Number(digit)) : null;
}
