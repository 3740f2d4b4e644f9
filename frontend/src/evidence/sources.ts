// The sources of the prompt, in a panel of their own that follows the statement in focus.
import type { Source } from "../api/assignments.ts";
import { el, find } from "../components/dom.ts";
import { gettext } from "../components/i18n.ts";
import { renderText } from "../components/text.ts";

export class Sources {
  readonly #panel = find("[data-source-panel]");
  readonly #list = find("[data-sources]");
  #titles: readonly string[] = [];

  open(sources: readonly Source[]): void {
    this.#titles = sources.map(({ title }) => title);
    this.#list.replaceChildren(...sources.map(item));
    find("[data-no-sources]").hidden = sources.length > 0;
    this.#panel.scrollTo(0, 0);
  }

  /** Undefined where the answer cites a source that is not there. */
  title(number: number): string | undefined {
    return this.#titles[number - 1];
  }

  /** Marks the cited ones and brings the first of them into view. */
  point(numbers: readonly number[]): void {
    for (const source of this.#list.children) {
      const isCited = numbers.includes(Number((source as HTMLElement).dataset["source"]));
      source.classList.toggle("cited", isCited);
    }
    const first = numbers.find((number) => this.title(number) !== undefined);
    if (first !== undefined) this.#reveal(first);
  }

  /** Scrolls the panel alone: the page stays where the person reads. */
  #reveal(number: number): void {
    const source = find(`[data-source="${number}"]`, this.#list);
    this.#panel.scrollTop += source.getBoundingClientRect().top - topOf(this.#panel);
  }
}

function topOf(panel: HTMLElement): number {
  return panel.getBoundingClientRect().top + parseFloat(getComputedStyle(panel).paddingTop);
}

function item(source: Source, index: number): HTMLElement {
  const text = el("div", { class: "prose" });
  renderText(text, source.text);
  const title = el("h3", { dir: "auto" }, el("span", { class: "number" }, `[${index + 1}]`), " ");
  title.append(source.title);
  return el("li", { class: "source", "data-source": index + 1 }, title, ...linkTo(source.url), text);
}

function linkTo(url: string | undefined): HTMLElement[] {
  if (!url || !/^https?:\/\//i.test(url)) return [];
  const link = el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" });
  link.append(hostOf(url), el("span", { class: "visually-hidden" }, gettext(" (opens a new tab)")));
  return [el("p", { class: "small" }, link)];
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}
