// Draws markdown as elements. Loaded by text.ts when a text needs it.
//
// tokens.ts reads the text; each token becomes an element named here, so no HTML is parsed and
// nothing needs to be cleaned afterwards. Headings of a text are no headings of the page, pictures
// are links, and links lead only to the web or to mail.
import type { Token } from "markdown-it";

import { el } from "./dom.ts";
import { emptyText } from "./empty_text.ts";
import { gettext, interpolate } from "./i18n.ts";
import { tokensOf } from "./tokens.ts";

const TAGS: Readonly<Record<string, keyof HTMLElementTagNameMap>> = {
  paragraph: "p",
  heading: "p",
  blockquote: "blockquote",
  bullet_list: "ul",
  ordered_list: "ol",
  list_item: "li",
  table: "table",
  thead: "thead",
  tbody: "tbody",
  tr: "tr",
  th: "th",
  td: "td",
  em: "em",
  strong: "strong",
  s: "s",
  link: "a",
};
const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);

export function drawMarkdown(box: HTMLElement, text: string): void {
  const tokens = tokensOf(text);
  if (!tokens) return;
  const drawn = document.createDocumentFragment();
  const drawing = new Drawing();
  drawing.draw(tokens, drawn);
  box.dataset["view"] = "drawn";
  box.replaceChildren(drawn.hasChildNodes() ? drawn : emptyText());
  if (drawing.formulas.length) {
    void import("./math.ts").then(({ drawFormulas }) => drawFormulas(drawing.formulas), () => {});
  }
}

class Drawing {
  readonly formulas: HTMLElement[] = [];

  draw(tokens: readonly Token[], into: ParentNode & Node): void {
    const open: Node[] = [into];
    for (const token of tokens) {
      const parent = open.at(-1) ?? into;
      if (token.hidden) continue;
      if (token.nesting > 0) open.push(parent.appendChild(opened(token)));
      else if (token.nesting < 0) open.pop();
      else if (token.type === "inline") this.draw(token.children ?? [], parent as HTMLElement);
      else parent.appendChild(this.#leaf(token));
    }
  }

  #leaf(token: Token): Node {
    switch (token.type) {
      case "softbreak":
      case "hardbreak":
        return el("br");
      case "hr":
        return el("hr");
      case "code_inline":
        return el("code", {}, token.content);
      case "fence":
      case "code_block":
        // Whoever has no mouse scrolls a long line with the arrow keys.
        return el("pre", { tabindex: 0, dir: "ltr" }, el("code", {}, token.content));
      case "image":
        return picture(token);
      case "math":
        return this.#formula(token);
      default:
        return document.createTextNode(token.content);
    }
  }

  #formula(token: Token): HTMLElement {
    const box = el("span", { class: token.block ? "math block" : "math", dir: "ltr" });
    box.textContent = token.markup;
    box.dataset["formula"] = token.content;
    this.formulas.push(box);
    return box;
  }
}

function opened(token: Token): HTMLElement {
  const kind = token.type.replace(/_open$/, "");
  if (kind === "link") return link(String(token.attrGet("href") ?? ""));
  const element = el(TAGS[kind] ?? "span");
  if (kind === "heading") element.className = `heading ${token.tag}`;
  if (kind === "paragraph" || kind === "list_item") element.dir = "auto";
  if (kind === "ordered_list") element.setAttribute("start", String(token.attrGet("start") ?? 1));
  const align = /^text-align:(left|center|right)$/.exec(String(token.attrGet("style") ?? ""))?.[1];
  if (align) element.style.textAlign = align;
  return element;
}

function link(href: string, ...words: string[]): HTMLElement {
  if (!isSafe(href)) return el("span", {}, ...words);
  const element = el(
    "a",
    { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href },
    ...words,
  );
  // The card around it must not take the click for a choice.
  element.addEventListener("click", (event) => event.stopPropagation());
  return element;
}

/** A link in place of the picture: loading it would tell a stranger who reads what, and when. */
function picture(token: Token): HTMLElement {
  const words = token.content.trim() || gettext("without a description");
  return link(
    String(token.attrGet("src") ?? ""),
    interpolate(gettext("[picture: %(words)s]"), { words }),
  );
}

function isSafe(href: string): boolean {
  try {
    return SAFE_SCHEMES.has(new URL(href).protocol);
  } catch {
    return false;
  }
}
