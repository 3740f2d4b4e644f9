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
    ? enclosed(src, pos + 2, closer)
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

function enclosed(src: string, from: number, closer: string): Found | null {
  // A window, because thousands of openers without a closer would each search the whole text.
  const length = src.slice(from, from + MAX_FORMULA).indexOf(closer);
  const formula = src.slice(from, from + length);
  return length > 0 && formula.trim() ? { formula, end: from + length + closer.length } : null;
}

function dollars(src: string, from: number): Found | null {
  const formula = /^(?!\s)(?:\\[^]|[^\\$]){1,2000}(?<!\s)(?=\$(?!\d))/.exec(
    src.slice(from, from + MAX_FORMULA + 1),
  )?.[0];
  return formula ? { formula, end: from + formula.length + 1 } : null;
}

/** A formula with lines of its own, which must not be read as lists or headings. */
function block(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const first = lineOf(state, startLine);
  const closer = CLOSERS[first.slice(0, 2)];
  if (!closer || closer === "\\)") return false;
  let formula = "";
  for (let line = startLine; line < endLine && formula.length <= MAX_FORMULA; line += 1) {
    if (line > startLine && ends(state, line)) return false;
    const text = line === startLine ? first.slice(2) : lineOf(state, line);
    const length = text.indexOf(closer);
    formula += length < 0 ? `${text}\n` : text.slice(0, length);
    if (length < 0) continue;
    if (text.slice(length + 2).trim() || !formula.trim()) return false;
    if (!silent) push(state, startLine, line, formula, first.slice(0, 2) + formula + closer);
    return true;
  }
  return false;
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

function lineOf(state: StateBlock, line: number): string {
  const start = (state.bMarks[line] ?? 0) + (state.tShift[line] ?? 0);
  return state.src.slice(start, state.eMarks[line]);
}

/** A blank line, or one that has left the list or quotation. */
function ends(state: StateBlock, line: number): boolean {
  return state.isEmpty(line) || (state.sCount[line] ?? 0) < state.blkIndent;
}
