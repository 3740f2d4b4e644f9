// The order so far, always in view: places from best to worst, and the empty ones still to fill.
import type { Presentation } from "../api/assignments.ts";
import { el } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { letterOf, unplaced, type Order } from "./order.ts";
import { ordinal, placeName } from "./sentences.ts";

export interface TrayActions {
  takeBack(id: number): void;
  move(id: number, direction: -1 | 1): void;
  toggleTie(id: number): void;
}

export class Tray {
  readonly #list: HTMLElement;
  readonly #actions: TrayActions;
  #texts = new Map<number, string>();

  constructor(list: HTMLElement, actions: TrayActions) {
    this.#list = list;
    this.#actions = actions;
  }

  open(task: Presentation): void {
    const short = (text: string) => text.trim().replace(/\s+/g, " ").slice(0, 80);
    this.#texts = new Map(task.completions.map(({ id, text }) => [id, short(text)]));
  }

  /** Draws the order anew and gives the focus back to the answer that had it. */
  update(order: Order): void {
    const focused = document.activeElement;
    const had = focused instanceof HTMLElement && this.#list.contains(focused);
    const again = had ? focused.dataset["chip"] : undefined;
    const groups = order.groups.map((group, index) => this.#group(order, group, index));
    const start = groups.length;
    const free = unplaced(order).map((_, index) => emptyPlace(start + index + 1, index === 0));
    this.#list.replaceChildren(...groups, ...free);
    if (again) this.#list.querySelector<HTMLElement>(`[data-chip="${again}"]`)?.focus();
  }

  #group(order: Order, group: readonly number[], index: number): HTMLElement {
    const rows = el("ul", { class: "tied" }, ...group.map((id) => this.#row(order, id, index)));
    const number = el("span", { class: "place-number" }, String(index + 1));
    number.setAttribute("aria-label", placeName(index + 1, group.length > 1));
    const classes = group.length > 1 ? "place tie" : "place";
    return el("li", { class: classes, "data-drop-group": index }, number, rows);
  }

  #row(order: Order, id: number, index: number): HTMLElement {
    const letter = letterOf(order, id);
    const label = interpolate(gettext("%(letter)s, %(place)s. Take back"), {
      letter,
      place: ordinal(index + 1),
    });
    const chip = el(
      "button",
      { type: "button", class: "letter", "data-chip": id, "aria-label": label },
      letter,
    );
    chip.addEventListener("click", () => this.#actions.takeBack(id));
    const text = el("span", { class: "row-text", dir: "auto" }, this.#texts.get(id) ?? "");
    const tied = (order.groups[index] ?? []).length > 1;
    const tools = el("span", { class: "row-tools" });
    if (index > 0 || tied) {
      const label = interpolate(gettext("Move %(letter)s up"), { letter });
      tools.append(this.#tool("↑", label, () => this.#actions.move(id, -1)));
    }
    if (index < order.groups.length - 1 || tied) {
      const label = interpolate(gettext("Move %(letter)s down"), { letter });
      tools.append(this.#tool("↓", label, () => this.#actions.move(id, 1)));
    }
    if (index > 0 || tied) {
      const format = tied
        ? gettext("Give %(letter)s its own place")
        : gettext("Tie %(letter)s with the place above");
      const label = interpolate(format, { letter });
      const sign = tied ? gettext("untie") : gettext("tie");
      const tool = this.#tool(sign, label, () => this.#actions.toggleTie(id));
      tools.append(tool);
    }
    return el("li", { class: "row", "data-drag": id }, chip, text, tools);
  }

  /** For the mouse: the keyboard has Alt+arrows and "=", so these are no tab stops. */
  #tool(sign: string, label: string, action: () => void): HTMLElement {
    const tool = el(
      "button",
      { type: "button", class: "tool", tabindex: -1, "aria-label": label, title: label },
      sign,
    );
    tool.addEventListener("click", action);
    return tool;
  }
}

function emptyPlace(number: number, next: boolean): HTMLElement {
  const best = number === 1 ? gettext("The best answer") : gettext("The next best");
  const hint = next ? best : "";
  const sign = el("span", { class: "place-number", "aria-hidden": true }, String(number));
  const text = el("span", { class: "row-text" }, hint);
  const classes = next ? "place free next" : "place free";
  return el("li", { class: classes, "data-drop-end": true, "aria-hidden": !next }, sign, text);
}
