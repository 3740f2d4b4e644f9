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

test("hostile texts of 30,000 characters take little time", () => {
  const dollars = ["$", "\\(", "\\[", "$$\n", "$a", "a$ $b"];
  const units = [...dollars, "*a", "[", "![](", "> ", "`", "_a_ ", "|-", "<a ", "&#", "- "];
  for (const unit of units) {
    const started = performance.now();
    found(unit.repeat(30_000 / unit.length));
    const elapsed = performance.now() - started;
    assert.ok(elapsed < 1_000, `${JSON.stringify(unit)} took ${elapsed} ms`);
  }
});
