// Messages begun at several places of one conversation: each waits where it was begun.
//
// What stands in the field belongs to the place where the person is, and is not in here.
import type { Turns } from "../api/turns.ts";
import { turnAt, type Place } from "./tree.ts";

interface Begun {
  readonly parent: Place;
  readonly text: string;
}

export class Unsent {
  readonly #texts = new Map<Place, string>();

  /** Nothing but white space is not worth keeping. */
  keep(place: Place, text: string): void {
    if (text.trim()) this.#texts.set(place, text);
    else this.#texts.delete(place);
  }

  /** It stands in the field from now on. */
  take(place: Place): string {
    const text = this.#texts.get(place) ?? "";
    this.#texts.delete(place);
    return text;
  }

  draft(): Begun[] {
    return [...this.#texts].map(([parent, text]) => ({ parent, text }));
  }

  /** From a draft, which may be of an older page, or name turns that are gone. */
  restore(draft: unknown, turns: Turns): void {
    this.#texts.clear();
    for (const begun of Array.isArray(draft) ? (draft as Partial<Begun>[]) : []) {
      const parent = begun?.parent ?? null;
      if (typeof begun?.text !== "string") continue;
      if (parent === null || turnAt(turns, parent)) this.keep(parent, begun.text);
    }
  }
}
