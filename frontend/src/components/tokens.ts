// Reads markdown with markdown-it, within limits: what would be drawn too deep or too large is not.
import MarkdownIt, { type StateCore, type Token } from "markdown-it";

import { formulas } from "./formulas.ts";

// markdown-it leaves out what is nested deeper, so a text that comes near is not drawn.
const MAX_NESTING = 40;
// Three answers of this many elements are on the page in about a second.
export const MAX_TOKENS = 20_000;

const markdown = new MarkdownIt({
  html: false,
  linkify: true,
  breaks: true,
  maxNesting: MAX_NESTING,
}).use(formulas);
// Only what names its scheme is a link: "readme.md" is no address.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
markdown.core.ruler.after("block", "limit", limit);

/** Null when the text is better shown as it was written. */
export function tokensOf(text: string): Token[] | null {
  const env = { isTooLarge: false };
  const tokens = markdown.parse(text, env);
  const isTooDeep = tokens.some(({ level }) => level > MAX_NESTING - 3);
  return env.isTooLarge || isTooDeep || isTooMany(tokens) ? null : tokens;
}

/** The cells of a table are not read any further when there are too many of them already. */
function limit(state: StateCore): void {
  if (!isTooMany(state.tokens)) return;
  state.env["isTooLarge"] = true;
  state.tokens = [];
}

function isTooMany(tokens: readonly Token[]): boolean {
  return tokens.reduce((sum, { children }) => sum + 1 + (children?.length ?? 0), 0) > MAX_TOKENS;
}
