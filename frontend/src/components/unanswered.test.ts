import assert from "node:assert/strict";
import { test } from "node:test";

import { Unanswered } from "./unanswered.ts";

test("the same words sent again are the only ones, however long it took", () => {
  const unanswered = new Unanswered();
  unanswered.add(7, { text: "First", seconds_spent: 3 });
  unanswered.add(7, { text: "First", seconds_spent: 9 });
  assert.ok(unanswered.has(7));
  assert.ok(unanswered.isOnly({ text: "First", seconds_spent: 20 }));
  assert.ok(!unanswered.isOnly({ text: "First and more", seconds_spent: 20 }));
});

test("of two that went out, either may be stored", () => {
  const unanswered = new Unanswered();
  unanswered.add(7, { text: "First" });
  unanswered.add(7, { text: "Second" });
  assert.ok(!unanswered.isOnly({ text: "First" }));
  assert.ok(!unanswered.isOnly({ text: "Second" }));
});

test("another task begins anew", () => {
  const unanswered = new Unanswered();
  unanswered.add(7, { text: "First" });
  unanswered.add(8, { text: "Second" });
  assert.ok(!unanswered.has(7));
  assert.ok(unanswered.isOnly({ text: "Second" }));
  unanswered.clear();
  assert.ok(!unanswered.has(8));
});
