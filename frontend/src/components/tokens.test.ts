import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_TOKENS, tokensOf } from "./tokens.ts";

const SIZE = 30_000;

test("a text that would be too many elements is not read", () => {
  const table = "|a".repeat(100) + "\n" + "|-".repeat(100) + "\n" + "|\n".repeat(14_000);
  for (const text of [table, "- a\n".repeat(SIZE / 4), "\\[\n".repeat(SIZE / 3)]) {
    assert.equal(tokensOf(text), null, JSON.stringify(text.slice(0, 20)));
  }
});

test("a text nested too deep is not read", () => {
  assert.equal(tokensOf("> ".repeat(60) + "deep"), null);
  assert.notEqual(tokensOf("> ".repeat(10) + "deep"), null);
});

test("what people write in 30,000 characters is read", () => {
  const sentence = "Some *words* with `code`, [a link](https://example.org) and **more**.\n\n";
  const list = "- one thing that is said about it\n";
  const table = "| a cell | another |\n|---|---|\n" + "| word | word |\n".repeat(1_000);
  const formula = "Then $x^2$ and \\(y\\), so \\[ z \\]\n";
  for (const text of [sentence, list, table, formula]) {
    assert.notEqual(tokensOf(text.repeat(SIZE / text.length)), null, text.slice(0, 20));
  }
});

test("no text of 30,000 characters is more than may be drawn", () => {
  const units = ["$", "[", "*", "`", "\\(", "> ", "- ", "[a]: b\n", "https://a.b ", "![](", "*a_ ", "&#"];
  for (const unit of units) {
    const tokens = tokensOf(unit.repeat(SIZE / unit.length)) ?? [];
    const count = tokens.reduce((sum, { children }) => sum + 1 + (children?.length ?? 0), 0);
    assert.ok(count <= MAX_TOKENS, `${JSON.stringify(unit)} gives ${count}`);
  }
});
