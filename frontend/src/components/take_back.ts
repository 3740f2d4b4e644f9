// The submits that can still be taken back, newest first, and the button that says for how long.
import { find } from "./dom.ts";
import { gettext, interpolate } from "./i18n.ts";
import { recall, remember } from "./preferences.ts";

interface Sent {
  readonly id: number;
  readonly until: number;
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

  /** The assignment that an undo would bring back. */
  get newest(): number | null {
    this.#forgetOld();
    return this.#sent.at(-1)?.id ?? null;
  }

  add(id: number, seconds: number): void {
    if (seconds > 0) this.#sent.push({ id, until: Date.now() + seconds * 1000 });
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
