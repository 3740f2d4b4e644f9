import assert from "node:assert/strict";
import { test } from "node:test";
import { characters, MAX_CHARACTERS, tooLong, words } from "./length.ts";

test("words are counted with and without spaces between them", () => {
  assert.equal(words(""), 0);
  assert.equal(words(" \n "), 0);
  assert.equal(words("Water it twice a week, s and ? included."), 9);
  assert.equal(words("天空 is blue"), 4);
});

test("characters are counted as the server counts them", () => {
  assert.equal(characters("a👍b"), 3);
  assert.equal(tooLong("👍".repeat(MAX_CHARACTERS)), false);
  assert.equal(tooLong("x".repeat(MAX_CHARACTERS + 1)), true);
  assert.equal(tooLong(` ${"x".repeat(MAX_CHARACTERS)} `), false);
});
