// What the person has done: in this sitting, today, and the seconds it takes them.
import { gettext, interpolate, ngettext } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";

const KEPT = 50;

/** Kept in the browser, for one person and one kind of judgement. */
interface Today {
  readonly date: string;
  readonly done: number;
  readonly seconds: readonly number[];
}

export class Sitting {
  readonly #name: string;
  readonly #today: () => string;
  #done = 0;

  constructor(name: string, today: () => string = () => new Date().toDateString()) {
    this.#name = `sitting:${name}`;
    this.#today = today;
  }

  add(seconds: number): void {
    const today = this.#read();
    this.#done += 1;
    this.#write({
      ...today,
      done: today.done + 1,
      seconds: [...today.seconds, seconds].slice(-KEPT),
    });
  }

  takeBack(): void {
    const today = this.#read();
    this.#done = Math.max(0, this.#done - 1);
    this.#write({
      ...today,
      done: Math.max(0, today.done - 1),
      seconds: today.seconds.slice(0, -1),
    });
  }

  /** "3 done in this sitting · 12 today · 14 s each": empty before the first. */
  sentence(): string {
    const { done, seconds } = this.#read();
    if (done === 0) return "";
    const parts = [
      interpolate(
        ngettext("%(count)s done in this sitting", "%(count)s done in this sitting", this.#done),
        { count: this.#done },
      ),
      interpolate(ngettext("%(count)s today", "%(count)s today", done), { count: done }),
    ];
    if (seconds.length) {
      parts.push(interpolate(gettext("median %(seconds)s s"), { seconds: median(seconds) }));
    }
    return parts.join(" · ");
  }

  #read(): Today {
    const fresh: Today = { date: this.#today(), done: 0, seconds: [] };
    try {
      const kept = JSON.parse(recall(this.#name) || "null") as Today | null;
      return kept?.date === fresh.date && Array.isArray(kept.seconds) ? kept : fresh;
    } catch {
      return fresh;
    }
  }

  #write(today: Today): void {
    remember(this.#name, JSON.stringify(today));
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [sorted[middle - 1], sorted[middle]];
  const value = sorted.length % 2 ? high : (low + high) / 2;
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}
