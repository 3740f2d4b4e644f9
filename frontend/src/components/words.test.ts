import assert from "node:assert/strict";
import { test } from "node:test";

import { wordChanges, type Change } from "./words.ts";

const joined = (changes: Change[], side: "removed" | "added") =>
  changes
    .filter((change) => "same" in change || side in change)
    .map((change) => Object.values(change)[0])
    .join("");

test("one changed word is one change", () => {
  assert.deepEqual(wordChanges("Water it twice a week.", "Water it once a week."), [
    { same: "Water it " },
    { removed: "twice" },
    { added: "once" },
    { same: " a week." },
  ]);
});

test("a language without spaces is compared by its words", () => {
  const changes = wordChanges("我喜欢红色的花", "我喜欢蓝色的花");
  assert.ok(changes.some((change) => "same" in change && change.same.includes("喜欢")));
  assert.equal(joined(changes, "added"), "我喜欢蓝色的花");
});

test("two long texts without a common word take bounded time", () => {
  const text = (word: string) =>
    Array.from({ length: 5_000 }, (_, index) => `${word}${index}`).join(" ");
  const started = performance.now();
  const changes = wordChanges(text("a"), text("b"));
  assert.ok(performance.now() - started < 2_000);
  assert.equal(joined(changes, "removed"), text("a"));
});
