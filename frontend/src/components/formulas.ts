// LaTeX inside markdown: $..$, $$..$$, \(..\) and \[..\] become tokens of the type "math".
//
// As in Pandoc, a dollar sign opens only before and closes only after something other than white
// space, and never closes before a digit: "$5 or $10" is money.
import type { MarkdownIt, StateBlock, StateInline } from "markdown-it";

export const MAX_FORMULA = 2_000;

const CLOSERS: Readonly<Record<string, string>> = { "$$": "$$", "\\[": "\\]", "\\(": "\\)" };

export function formulas(markdown: MarkdownIt): void {
  markdown.inline.ruler.before("escape", "math", inline);
  markdown.block.ruler.before("fence", "math", block, {
    alt: ["paragraph", "reference", "blockquote", "list"],
  });
}

function inline(state: StateInline, silent: boolean): boolean {
  const { src, pos } = state;
  const opener = src.slice(pos, pos + 2);
  const closer = CLOSERS[opener];
  const found = closer
    ? enclosed(closersOf(state), src, pos + 2, closer)
    : src[pos] === "$" && dollars(src, pos + 1);
  if (!found) return false;
  if (!silent) {
    const token = state.push("math", "", 0);
    token.content = found.formula;
    token.markup = src.slice(pos, found.end);
    token.block = closer !== undefined && opener !== "\\(";
  }
  state.pos = found.end;
  return true;
}

interface Found {
  readonly formula: string;
  readonly end: number;
}

function enclosed(found: Closers, src: string, from: number, closer: string): Found | null {
  const end = found.after(src, from, closer);
  if (end < 0 || end - from > MAX_FORMULA) return null;
  const formula = src.slice(from, end);
  return formula.trim() ? { formula, end: end + closer.length } : null;
}

function dollars(src: string, from: number): Found | null {
  const formula = /^(?!\s)(?:\\[^]|[^\\$]){1,2000}(?<!\s)(?=\$(?!\d))/.exec(
    src.slice(from, from + MAX_FORMULA + 1),
  )?.[0];
  return formula ? { formula, end: from + formula.length + 1 } : null;
}

/** A formula with lines of its own, which must not be read as lists or headings. */
function block(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const from = startOf(state, startLine);
  const opener = state.src.slice(from, from + 2);
  const closer = CLOSERS[opener];
  if (!closer || closer === "\\)") return false;
  const end = closersOf(state).after(state.src, from + 2, closer);
  if (end < 0 || end - from > MAX_FORMULA) return false;
  let last = startLine;
  while ((state.eMarks[last] ?? end) < end) {
    last += 1;
    if (last >= endLine || ends(state, last)) return false;
  }
  if (state.src.slice(end + 2, state.eMarks[last]).trim()) return false;
  const lines = [state.src.slice(from + 2, Math.min(end, state.eMarks[startLine] ?? end))];
  for (let line = startLine + 1; line <= last; line += 1) {
    lines.push(state.src.slice(startOf(state, line), Math.min(end, state.eMarks[line] ?? end)));
  }
  const formula = lines.join("\n");
  if (!formula.trim()) return false;
  if (!silent) push(state, startLine, last, formula, opener + formula + closer);
  return true;
}

function push(
  state: StateBlock,
  startLine: number,
  line: number,
  formula: string,
  markup: string,
): void {
  const token = state.push("math", "", 0);
  token.content = formula;
  token.markup = markup;
  token.block = true;
  token.map = [startLine, line + 1];
  state.line = line + 1;
}

function startOf(state: StateBlock, line: number): number {
  return (state.bMarks[line] ?? 0) + (state.tShift[line] ?? 0);
}

/** A blank line, or one that has left the list or quotation. */
function ends(state: StateBlock, line: number): boolean {
  return state.isEmpty(line) || (state.sCount[line] ?? 0) < state.blkIndent;
}

/**
 * Where the closers of a text are. Each text is searched once for each of them: thousands of openers
 * that search for themselves would take seconds.
 */
class Closers {
  readonly #places: Readonly<Record<string, Map<string, number[]>>> = {
    "$$": new Map(),
    "\\]": new Map(),
    "\\)": new Map(),
  };

  /** The first one at `from` or later; -1 when there is none. */
  after(src: string, from: number, closer: string): number {
    const places = this.#placesIn(src, closer);
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((places[middle] ?? from) < from) low = middle + 1;
      else high = middle;
    }
    return places[low] ?? -1;
  }

  #placesIn(src: string, closer: string): number[] {
    const known = this.#places[closer]?.get(src);
    if (known) return known;
    const places: number[] = [];
    // Overlapping ones too: "$$$" closes at its first sign and at its second.
    for (let at = src.indexOf(closer); at >= 0; at = src.indexOf(closer, at + 1)) places.push(at);
    this.#places[closer]?.set(src, places);
    return places;
  }
}

/** One for all that is parsed of a text: markdown-it hands `env` to every state. */
function closersOf(state: StateBlock | StateInline): Closers {
  const env = state.env as { closers?: Closers };
  return (env.closers ??= new Closers());
}
