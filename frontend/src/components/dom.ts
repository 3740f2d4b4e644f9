// Small helpers around the DOM. Text always becomes text nodes: prompts and answers are hostile.

type Attributes = Record<string, string | number | boolean | null>;

/** Creates an element. `true` sets a bare attribute; `false` and `null` leave it out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** The element, or an error that names what the template lacks. */
export function find<T extends HTMLElement = HTMLElement>(
  selector: string,
  root: ParentNode = document,
): T {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`The page has no ${selector}`);
  return found;
}

/** What the server put into the page with json_script. */
export function pageData<T>(id: string): T {
  return JSON.parse(find(`#${id}`).textContent ?? "null") as T;
}

const NO_TEXT = ["button", "checkbox", "radio", "range", "reset", "submit"]
  .map((type) => `[type=${type}]`)
  .join();

/** Keys that reach this element write something. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.matches(`input:not(${NO_TEXT}), textarea, select`)
  );
}

// What Safari calls the key that ends the work of an input method, after the composing itself.
const COMPOSING = 229;

/** The key belongs to an input method at work: Enter picks a word there, Esc drops it. */
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === COMPOSING;
}
