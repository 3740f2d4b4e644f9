import assert from "node:assert/strict";
import { test } from "node:test";

import MarkdownIt, { type Token } from "markdown-it";

import { formulas } from "./formulas.ts";

const markdown = new MarkdownIt({ html: false, breaks: true, maxNesting: 40 }).use(formulas);

function found(text: string): string[] {
  const all = (tokens: readonly Token[]): Token[] =>
    tokens.flatMap((token) => [token, ...all(token.children ?? [])]);
  return all(markdown.parse(text, {}))
    .filter(({ type }) => type === "math")
    .map(({ block, content }) => (block ? "block " : "") + content.trim());
}

test("the four ways to write a formula are found", () => {
  assert.deepEqual(found("a $x^2$, $$y$$, \\(z_1\\) and \\[w\\]."), ["x^2", "block y", "z_1", "block w"]);
});

test("a formula on lines of its own is no list and no heading", () => {
  assert.deepEqual(found("So\n$$\na\n- b\n= c\n$$\nthen\n\n\\[\nd\n\\]"), ["block a\n- b\n= c", "block d"]);
  assert.deepEqual(found("- item\n  $$\n  a\n  $$\n\n> \\[ b \\]"), ["block a", "block b"]);
});

test("money, code and escaped signs are no formulas", () => {
  for (const text of ["$5 or $10", "from $5-$6", "`$x$`", "\\$x\\$", "$ x $", "$$$$", "a \\( b"]) {
    assert.deepEqual(found(text), [], text);
  }
});

const isCloser = (text: string) => /^(\$\$|\\[\])])$/.test(text);

/** How often something looks for a closer, wherever in the text. */
function searches(work: () => void): number {
  const { indexOf } = String.prototype;
  let count = 0;
  String.prototype.indexOf = function (sought, from) {
    if (isCloser(sought)) count += 1;
    return indexOf.call(this, sought, from);
  };
  try {
    work();
  } finally {
    String.prototype.indexOf = indexOf;
  }
  return count;
}

test("thousands of openers do not search the text for a closer each", () => {
  const openers = ["\\[\n", "x\n\\[\n", "> \\[\n", "\\(", "$$\n", "$$x\n\n", "\\[ a \\] b\n", "\\[a"];
  for (const opener of openers) {
    const num = 30_000 / opener.length;
    const count = searches(() => void found(opener.repeat(num)));
    // A search for each that is there, of the text and of what is inline in it.
    assert.ok(count <= 2 * num + 4, `${JSON.stringify(opener)}: ${count} searches`);
  }
});
