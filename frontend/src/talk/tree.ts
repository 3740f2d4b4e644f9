// A conversation with branches, as plain values: which turns are on the way to where we stand.
//
// Later turns have greater ids. "Where we stand" is the id of a turn, or null before the first.
import type { Choice, Turn, Turns } from "../api/turns.ts";

export type Place = number | null;

export function turnAt(turns: Turns, place: Place): Turn | null {
  return turns.find((turn) => turn.id === place) ?? null;
}

/** From the first turn to `place`, both included. */
export function pathTo(turns: Turns, place: Place): Turn[] {
  const path: Turn[] = [];
  let turn = turnAt(turns, place);
  while (turn && !path.includes(turn)) {
    path.unshift(turn);
    turn = turnAt(turns, turn.parent);
  }
  return path;
}

export function childrenOf(turns: Turns, place: Place): Turn[] {
  return turns.filter((turn) => turn.parent === place).sort((a, b) => a.id - b.id);
}

/** The versions of one exchange, this one included. */
export function siblingsOf(turns: Turns, turn: Turn): Turn[] {
  return childrenOf(turns, turn.parent);
}

/** Counted from 1. */
export function versionOf(turns: Turns, turn: Turn): { number: number; count: number } {
  const siblings = siblingsOf(turns, turn);
  return { number: siblings.findIndex(({ id }) => id === turn.id) + 1, count: siblings.length };
}

export function neighbourOf(turns: Turns, turn: Turn, step: -1 | 1): Turn | null {
  const { number } = versionOf(turns, turn);
  return siblingsOf(turns, turn)[number - 1 + step] ?? null;
}

/** The turn made last of those that hang on `place`; `place` itself when nothing does. */
export function newestUnder(turns: Turns, place: Place): Place {
  const under = turns.filter((turn) => place === null || isUnder(turns, turn, place));
  return under.reduce<Place>((newest, { id }) => Math.max(newest ?? id, id), place);
}

function isUnder(turns: Turns, turn: Turn, place: number): boolean {
  return pathTo(turns, turn.id).some(({ id }) => id === place);
}

export function isWaiting(turn: Turn): boolean {
  return turn.reply_state.status === "queued" || turn.reply_state.status === "running";
}

/** The turn that a call made: one that was not there before, or the one it found again. */
export function turnMade(before: Turns, after: Turns, parent: Place, text: string): Place {
  const known = new Set(before.map(({ id }) => id));
  const fresh = after.filter(({ id }) => !known.has(id));
  const same = childrenOf(after, parent).filter((turn) => turn.text.trim() === text.trim());
  return (fresh.length > 0 ? fresh : same).at(-1)?.id ?? newestUnder(after, parent);
}

/** What the person decided, shown before the server has answered. */
export function withChoice(turns: Turns, id: number, choice: Choice): Turns {
  const decided = (turn: Turn): Turn => ({
    ...turn,
    chosen: choice.chosen ?? turn.chosen,
    most_harmful: choice.most_harmful ?? turn.most_harmful,
  });
  return turns.map((turn) => (turn.id === id ? decided(turn) : turn));
}

/** Where to stand after a reload, and the words not sent yet. */
export function restored(turns: Turns, text: string, parent: Place): { at: Place; text: string } {
  const at = parent === null || turnAt(turns, parent) ? parent : null;
  if (!text.trim()) return { at: newestUnder(turns, at), text: "" };
  // It was sent, but the page went away before the draft was emptied.
  const sent = childrenOf(turns, at).find((turn) => turn.text.trim() === text.trim());
  return sent ? { at: newestUnder(turns, sent.id), text: "" } : { at, text };
}
