// Drag an answer with the mouse: from a card or the tray, onto a place (tie) or between two places.
//
// Touch keeps scrolling the page, so this listens to the mouse and the pen only; by touch one taps.

const THRESHOLD_PX = 6;
// The outer quarter of a place means "before" or "after" it, the middle half "tied with it".
const EDGE = 0.25;

export type Drop =
  | { readonly kind: "gap"; readonly index: number }
  | { readonly kind: "group"; readonly index: number };

interface Drag {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  ghost: HTMLElement | null;
}

export class Dragging {
  readonly #list: HTMLElement;
  readonly #onDrop: (id: number, drop: Drop) => void;
  #drag: Drag | null = null;

  constructor(root: HTMLElement, list: HTMLElement, onDrop: (id: number, drop: Drop) => void) {
    this.#list = list;
    this.#onDrop = onDrop;
    root.addEventListener("pointerdown", (event) => this.#down(event));
    document.addEventListener("pointermove", (event) => this.#moved(event));
    document.addEventListener("pointerup", (event) => this.#up(event));
    document.addEventListener("pointercancel", () => this.#end());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#end());
  }

  #down(event: PointerEvent): void {
    if (event.pointerType === "touch" || event.button !== 0) return;
    const target = event.target as HTMLElement;
    // The text of a card stays selectable: a card is dragged by its head, a tray row anywhere.
    const handle = target.closest<HTMLElement>(".card-head, .row");
    const source = handle?.closest<HTMLElement>("[data-drag]");
    if (!source || target.closest(".tool, .button")) return;
    this.#drag = { id: Number(source.dataset["drag"]), x: event.clientX, y: event.clientY, ghost: null };
  }

  #moved(event: PointerEvent): void {
    const drag = this.#drag;
    if (!drag) return;
    const distance = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
    if (!drag.ghost && distance < THRESHOLD_PX) return;
    drag.ghost ??= this.#begin(drag.id);
    drag.ghost.style.transform = `translate(${event.clientX + 10}px, ${event.clientY + 10}px)`;
    this.#mark(this.#dropAt(event));
    event.preventDefault();
  }

  #begin(id: number): HTMLElement {
    const letter = document.querySelector(`[data-answer="${id}"]`);
    const ghost = letter?.cloneNode(true) as HTMLElement;
    ghost.removeAttribute("data-answer");
    ghost.classList.add("ghost");
    document.body.append(ghost);
    document.body.classList.add("dragging");
    window.getSelection()?.removeAllRanges();
    return ghost;
  }

  #up(event: PointerEvent): void {
    const drag = this.#drag;
    const drop = drag?.ghost ? this.#dropAt(event) : null;
    if (drag?.ghost) swallowNextClick();
    this.#end();
    if (drag && drop) this.#onDrop(drag.id, drop);
  }

  #end(): void {
    this.#drag?.ghost?.remove();
    this.#drag = null;
    this.#mark(null);
    document.body.classList.remove("dragging");
  }

  #dropAt(event: PointerEvent): Drop | null {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    if (!under || !this.#list.contains(under)) return null;
    const places = this.#places();
    const place = under.closest<HTMLElement>("[data-drop-group]");
    if (!place) return { kind: "gap", index: places.length };
    const box = place.getBoundingClientRect();
    const share = (event.clientY - box.top) / box.height;
    const index = places.indexOf(place);
    if (share < EDGE) return { kind: "gap", index };
    return share > 1 - EDGE ? { kind: "gap", index: index + 1 } : { kind: "group", index };
  }

  #mark(drop: Drop | null): void {
    const places = this.#places();
    for (const [index, place] of places.entries()) {
      place.classList.toggle("drop-tie", drop?.kind === "group" && drop.index === index);
      place.classList.toggle("drop-before", drop?.kind === "gap" && drop.index === index);
    }
    const atEnd = drop?.kind === "gap" && drop.index === places.length;
    this.#list.classList.toggle("drop-end", atEnd);
  }

  #places(): HTMLElement[] {
    return [...this.#list.querySelectorAll<HTMLElement>("[data-drop-group]")];
  }
}

/** The click that ends a drag must not also place or take back the answer under the pointer. */
function swallowNextClick(): void {
  const swallow = (event: Event) => {
    event.stopPropagation();
    event.preventDefault();
  };
  document.addEventListener("click", swallow, { capture: true, once: true });
  window.setTimeout(() => document.removeEventListener("click", swallow, { capture: true }), 0);
}
