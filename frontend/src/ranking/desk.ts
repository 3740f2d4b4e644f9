// Where answers are put in order, by keys, clicks or dragging: cards, tray and what is undone.
//
// The pages that end in an order share it; they tell it what to show and hear of each change.
import type { Presentation } from "../api/assignments.ts";
import { find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Cards } from "./cards.ts";
import { Dragging, type Drop } from "./drag.ts";
import { commandOf, type Command } from "./keys.ts";
import * as orders from "./order.ts";
import type { Order } from "./order.ts";
import { allBadSentence, announcement, remaining } from "./sentences.ts";
import { Tray } from "./tray.ts";

export interface DeskHost {
  /** The person changed something worth keeping. */
  changed(): void;
  announce(sentence: string): void;
  submit(): void;
  /** Backspace with nothing left to take back; true when it meant something. */
  before?(): boolean;
}

export class OrderDesk {
  readonly #host: DeskHost;
  readonly #cards: Cards;
  readonly #tray: Tray;
  readonly #submit = find<HTMLButtonElement>("[data-submit]");
  readonly #allBad = find<HTMLButtonElement>("[data-all-bad]");
  #order: Order = orders.orderStart([]);
  #history: Order[] = [];
  #isAllBad = false;

  constructor(host: DeskHost) {
    this.#host = host;
    const toggle = (id: number) => this.#toggle(id);
    const list = find("[data-tray]");
    this.#cards = new Cards(find("[data-answers]"), {
      toggle,
      tie: (id) => this.#change(orders.tie(this.#order, id), id),
    });
    this.#tray = new Tray(list, {
      takeBack: toggle,
      move: (id, direction) => this.#change(orders.move(this.#order, id, direction), id),
      toggleTie: (id) => this.#change(orders.toggleTie(this.#order, id), id),
    });
    new Dragging(find("[data-work]"), list, (id, drop) => this.#dropped(id, drop));
    this.#submit.addEventListener("click", () => host.submit());
    this.#allBad.addEventListener("click", () => this.#toggleAllBad());
    find("[data-undo]").addEventListener("click", () => this.#undo());
    find("[data-clear]").addEventListener("click", () => this.#change(orders.clear(this.#order)));
    find("[data-tray-toggle]").addEventListener("click", (event) => toggleTray(event));
  }

  /** `draft` may hold the payload's own fields; `notes` stand on the cards of the answers. */
  open(
    task: Presentation,
    draft: unknown,
    { asksAllBad = true, notes = new Map<number, string>() } = {},
  ): void {
    const shown = task.completions.map(({ id }) => id);
    this.#order = orders.orderFromDraft(shown, draft);
    this.#isAllBad = asksAllBad && saysAllBad(draft);
    this.#history = [];
    this.#allBad.hidden = !asksAllBad;
    this.#cards.open(task, this.#order, notes);
    this.#tray.open(task);
    this.#draw();
  }

  /** Takes the answers off the page; the order stays. */
  close(): void {
    this.#cards.clear();
  }

  /** The first answer, so that Tab, arrows and Space work without reaching for the mouse. */
  focus(): void {
    find("[data-answer]").focus({ preventScroll: true });
  }

  get isComplete(): boolean {
    return orders.isComplete(this.#order);
  }

  /** The payload's fields; whole once the order is complete. */
  said(): { order: Order["groups"]; all_bad: boolean } {
    return { order: this.#order.groups, all_bad: this.#isAllBad };
  }

  missing(): string {
    return remaining(this.#order);
  }

  busy(busy: boolean): void {
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    const command = commandOf(event);
    return command !== null && this.#run(command, event);
  }

  #run(command: Command, event: KeyboardEvent): boolean {
    const focused = focusedAnswer();
    switch (command.does) {
      case "place":
      case "tie":
        return this.#byLetter(command.letter, command.does);
      case "back":
        return this.#back();
      case "undo":
        return this.#undo();
      case "all-bad":
        return !this.#allBad.hidden && this.#toggleAllBad();
      case "submit":
        return this.#enter(event, focused);
      case "focus":
        return this.#focusNext(focused, command.direction);
      case "remove":
        return this.#onFocused(focused, (id) => orders.remove(this.#order, id));
      case "toggle-tie":
        return this.#onFocused(this.#placedOrLast(focused), (id) =>
          orders.toggleTie(this.#order, id),
        );
      case "move":
        return this.#onFocused(this.#placedOrLast(focused), (id) =>
          orders.move(this.#order, id, command.direction),
        );
    }
  }

  /** Places a free answer; a placed one gets the focus, so that the next keys act on it. */
  #byLetter(letter: string, does: "place" | "tie"): boolean {
    const id = orders.idOfLetter(this.#order, letter);
    if (id === undefined) return false;
    if (does === "tie") this.#change(orders.tie(this.#order, id), id);
    else if (!this.#change(orders.place(this.#order, id), id)) {
      this.#host.announce(announcement(this.#order, id));
    }
    this.#cards.focus(id);
    return true;
  }

  #back(): boolean {
    const last = this.#order.groups.at(-1)?.at(-1);
    if (last === undefined) return this.#host.before?.() ?? false;
    return this.#change(orders.removeLast(this.#order), last);
  }

  /** Enter submits, unless it means the button or link that has the focus. */
  #enter(event: KeyboardEvent, focused: number | undefined): boolean {
    const direct = event.ctrlKey || event.metaKey;
    const target = event.target as HTMLElement;
    if (!direct && focused === undefined && target.closest("button, a, summary")) return false;
    if (!orders.isComplete(this.#order) && focused !== undefined && !direct) {
      return this.#change(orders.place(this.#order, focused), focused);
    }
    this.#host.submit();
    return true;
  }

  #onFocused(id: number | undefined, step: (id: number) => Order): boolean {
    return id !== undefined && this.#change(step(id), id);
  }

  /** Moves and ties act on the answer in focus, or else on the one placed last. */
  #placedOrLast(focused: number | undefined): number | undefined {
    if (focused !== undefined && orders.placeOf(this.#order, focused)) return focused;
    return this.#order.groups.at(-1)?.at(-1);
  }

  #focusNext(focused: number | undefined, direction: -1 | 1): boolean {
    if (focused === undefined) return false;
    const shown = this.#order.shown;
    const inTray = document.activeElement?.matches("[data-chip]") ?? false;
    const ids = inTray ? this.#order.groups.flat() : shown;
    const next = ids[ids.indexOf(focused) + direction];
    if (next === undefined) return true;
    if (inTray) find(`[data-chip="${next}"]`).focus();
    else this.#cards.focus(next);
    return true;
  }

  #toggle(id: number): void {
    const placed = orders.placeOf(this.#order, id) !== null;
    this.#change(placed ? orders.remove(this.#order, id) : orders.place(this.#order, id), id);
  }

  #toggleAllBad(): boolean {
    this.#isAllBad = !this.#isAllBad;
    this.#settle(allBadSentence(this.#isAllBad));
    return true;
  }

  #dropped(id: number, drop: Drop): void {
    const step = drop.kind === "gap" ? orders.insertAt : orders.joinGroup;
    this.#change(step(this.#order, id, drop.index), id);
  }

  #undo(): boolean {
    const before = this.#history.pop();
    // Nothing of this page: the last submit may be what is meant.
    if (!before) return false;
    this.#order = before;
    this.#settle(`${gettext("Undone.")} ${remaining(before)}`);
    return true;
  }

  /** Returns whether there was anything to change. */
  #change(order: Order, about?: number): boolean {
    if (order === this.#order) return false;
    this.#history.push(this.#order);
    this.#order = order;
    this.#settle(about === undefined ? remaining(order) : announcement(order, about));
    return true;
  }

  #settle(sentence: string): void {
    this.#draw();
    this.#host.changed();
    this.#host.announce(sentence);
  }

  #draw(): void {
    const order = this.#order;
    const placed = order.groups.flat().length;
    this.#cards.update(order);
    this.#tray.update(order);
    find("[data-count]").textContent = interpolate(gettext("%(placed)s of %(all)s"), {
      placed,
      all: order.shown.length,
    });
    find("[data-why]").textContent = orders.isComplete(order)
      ? gettext("All placed. Press Enter or the button.")
      : remaining(order);
    this.#submit.setAttribute("aria-disabled", String(!orders.isComplete(order)));
    this.#allBad.setAttribute("aria-pressed", String(this.#isAllBad));
    find("[data-tools]").hidden = this.#history.length === 0 && placed === 0;
  }
}

function saysAllBad(draft: unknown): boolean {
  const says = draft !== null && typeof draft === "object" && "all_bad" in draft;
  return says && draft.all_bad === true;
}

function focusedAnswer(): number | undefined {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement)) return undefined;
  const id = active.dataset["answer"] ?? active.dataset["chip"];
  return id === undefined ? undefined : Number(id);
}

function toggleTray(event: Event): void {
  const button = event.currentTarget as HTMLElement;
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? gettext("Close") : gettext("Edit");
  find("[data-tray-box]").classList.toggle("open", open);
}
