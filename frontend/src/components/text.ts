// Prompts and answers as people read them: markdown, code and LaTeX, or the raw text.
//
// What a plain text does not need is never loaded. Nothing here or below parses HTML: the words of
// strangers become text nodes in elements that we chose.
import { emptyText } from "./empty_text.ts";
import { recall, remember } from "./preferences.ts";

// A character that markdown or LaTeX could mean something by, or a list, a rule or an indent.
const MARKED =
  /[*_`~\\$|<#[\]&]|https?:\/\/|^ {0,3}(?:>|[-+] |\d{1,9}[.)] |=+ *$|-{2,} *$)|^(?: {4}|\t)/m;
const MAX_CHARACTERS = 200_000;

type Draw = (box: HTMLElement, text: string) => void;

const sources = new WeakMap<HTMLElement, string>();
let drawMarkdown: Draw | null = null;
let loading: Promise<Draw> | null = null;
let raw = recall("raw") === "yes";

/** Shows the text in the box, and again whenever the page's raw view is switched. */
export function renderText(box: HTMLElement, text: string): void {
  sources.set(box, text);
  box.dir = "auto";
  box.classList.add("rich");
  draw(box, text);
}

export function isRaw(): boolean {
  return raw;
}

/** Switches every text of the page between the drawn and the raw view; returns the new one. */
export function toggleRaw(): boolean {
  raw = !raw;
  remember("raw", raw ? "yes" : "");
  for (const box of document.querySelectorAll<HTMLElement>(".rich")) {
    const text = sources.get(box);
    if (text !== undefined) draw(box, text);
  }
  return raw;
}

/** What the box shows; undefined when it was never filled by renderText. */
export function sourceOf(box: HTMLElement): string | undefined {
  return sources.get(box);
}

function draw(box: HTMLElement, text: string): void {
  box.classList.remove("diff");
  box.dataset["view"] = "plain";
  box.replaceChildren(text.trim() ? text : emptyText());
  if (raw || text.length > MAX_CHARACTERS || !MARKED.test(text)) return;
  if (drawMarkdown) drawMarkdown(box, text);
  else void drawLater(box, text);
}

/** Until the drawing has come, and if it never does, the plain text stands there. */
async function drawLater(box: HTMLElement, text: string): Promise<void> {
  loading ??= import("./markdown.ts").then(({ drawMarkdown }) => drawMarkdown);
  try {
    drawMarkdown = await loading;
  } catch {
    loading = null;
    return;
  }
  if (!raw && sources.get(box) === text) drawMarkdown(box, text);
}
