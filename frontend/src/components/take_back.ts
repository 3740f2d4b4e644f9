// The submits that can still be taken back, newest first, and the button that says for how long.
import { find } from "./dom.ts";
import { gettext, interpolate } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";

export interface Sent {
  readonly id: number;
  readonly until: number;
  /** Active ones, that go on when it is open again. */
  readonly seconds: number;
}

export class TakeBack {
  readonly #button = find("[data-take-back]");
  readonly #left = find("[data-take-back-left]");
  readonly #name: string;
  #sent: Sent[];
  #timer = 0;

  /** `name`: under which the browser remembers them, so that a reload takes nothing away. */
  constructor(name: string, onUndo: () => void) {
    this.#name = `sent:${name}`;
    this.#sent = sentOf(recall(this.#name));
    this.#button.addEventListener("click", onUndo);
    this.#draw();
  }

  /** What an undo would bring back. */
  get newest(): Sent | null {
    this.#forgetOld();
    return this.#sent.at(-1) ?? null;
  }

  /** `left`: seconds until it is too late; `seconds`: what it took. */
  add(id: number, left: number, seconds: number): void {
    if (left > 0) this.#sent.push({ id, until: Date.now() + left * 1000, seconds });
    this.#keep();
  }

  remove(id: number): void {
    this.#sent = this.#sent.filter((sent) => sent.id !== id);
    this.#keep();
  }

  #keep(): void {
    this.#forgetOld();
    remember(this.#name, this.#sent.length ? JSON.stringify(this.#sent) : "");
    this.#draw();
  }

  #forgetOld(): void {
    this.#sent = this.#sent.filter(({ until }) => until > Date.now());
  }

  #draw(): void {
    window.clearTimeout(this.#timer);
    this.#forgetOld();
    const newest = this.#sent.at(-1);
    this.#button.hidden = !newest;
    if (!newest) return;
    this.#left.textContent = timeLeft((newest.until - Date.now()) / 1000);
    this.#timer = window.setTimeout(() => this.#draw(), 1000);
  }
}

function sentOf(kept: string): Sent[] {
  try {
    const sent: unknown = JSON.parse(kept || "[]");
    return Array.isArray(sent) ? (sent as Sent[]).filter(({ until }) => until > Date.now()) : [];
  } catch {
    return [];
  }
}

/** "4:05", or in hours when there are many. */
export function timeLeft(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole >= 3600) return interpolate(gettext("%(hours)s h"), { hours: Math.ceil(whole / 3600) });
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
