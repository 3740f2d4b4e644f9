import { el } from "./dom.ts";
import { gettext } from "./i18n.ts";

/** The sentence that stands for a text without words. */
export function emptyText(): HTMLElement {
  return el("em", { class: "muted" }, gettext("(an empty answer)"));
}
