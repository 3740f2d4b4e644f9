// Whether a single character is a shortcut. Who dictates, or easily hits a wrong key, turns that
// off in the dialog of keys; Tab, arrows, Space, Enter and keys held together stay as they are.
import { find } from "./dom.ts";
import { recall, remember } from "./preferences.ts";

type Press = Pick<KeyboardEvent, "key" | "altKey" | "ctrlKey" | "metaKey">;

export class SingleKeys {
  readonly #root = find("[data-work]");
  readonly #switch = find<HTMLInputElement>("[data-single-keys]");

  constructor() {
    this.#switch.checked = recall("single-keys") !== "off";
    this.#switch.addEventListener("change", () => {
      remember("single-keys", this.#switch.checked ? "" : "off");
      this.#draw();
    });
    this.#draw();
  }

  /** Whether the page may take this key for a command. */
  allow(press: Press): boolean {
    return this.#switch.checked || !isSingle(press);
  }

  #draw(): void {
    this.#root.dataset["singles"] = this.#switch.checked ? "on" : "off";
  }
}

/** A letter, digit or sign by itself; Space presses buttons. */
export function isSingle(press: Press): boolean {
  if (press.altKey || press.ctrlKey || press.metaKey) return false;
  return [...press.key].length === 1 && press.key !== " ";
}
