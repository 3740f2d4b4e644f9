// From a key press to what it means for a comparison. Pure: it reads only the event's fields.
import type { Press } from "../components/press.ts";

export type Command =
  | { readonly does: "choose"; readonly place: number }
  | { readonly does: "tie" | "both-bad" | "reason" | "submit" }
  | { readonly does: "row" | "step"; readonly direction: -1 | 1 };

const LETTERS: Readonly<Record<string, Command>> = {
  t: { does: "tie" },
  b: { does: "both-bad" },
  w: { does: "reason" },
};
const ARROWS: Readonly<Record<string, Command>> = {
  ArrowUp: { does: "row", direction: -1 },
  ArrowDown: { does: "row", direction: 1 },
  ArrowLeft: { does: "step", direction: -1 },
  ArrowRight: { does: "step", direction: 1 },
};

/** `place` counts along the scale from 0. */
export function commandOf(press: Press, levels: number): Command | null {
  if (press.key === "Enter") return press.repeat ? null : { does: "submit" };
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  const arrow = ARROWS[press.key];
  if (arrow) return arrow;
  if (press.repeat || press.shiftKey) return null;
  const place = Number(/^[1-9]$/.exec(press.key)?.[0] ?? 0) - 1;
  if (place >= 0) return place < levels ? { does: "choose", place } : null;
  return LETTERS[press.key.toLowerCase()] ?? null;
}
