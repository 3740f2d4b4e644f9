// What a key asks of the evidence page.
import type { Press } from "../components/press.ts";

export type Command =
  | { readonly does: "mark"; readonly isSupported: boolean }
  | { readonly does: "move"; readonly direction: -1 | 1 };

const MARKS: ReadonlyMap<string, boolean> = new Map([["y", true], ["n", false]]);
const MOVES: ReadonlyMap<string, -1 | 1> = new Map([
  ["j", 1], ["arrowdown", 1], ["k", -1], ["arrowup", -1],
]);

export function commandOf(press: Press): Command | null {
  if (press.altKey || press.ctrlKey || press.metaKey) return null;
  const key = press.key.toLowerCase();
  const direction = MOVES.get(key);
  if (direction !== undefined) return { does: "move", direction };
  const isSupported = MARKS.get(key);
  // A key held down must not judge one statement after the other.
  return isSupported === undefined || press.repeat ? null : { does: "mark", isSupported };
}
