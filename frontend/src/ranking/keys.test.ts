import assert from "node:assert/strict";
import { test } from "node:test";

import { pressOf as press } from "../components/press.ts";
import { commandOf } from "./keys.ts";

test("letters and digits place, with Shift they tie", () => {
  assert.deepEqual(commandOf(press("c")), { does: "place", letter: "C" });
  assert.deepEqual(commandOf(press("3", { code: "Digit3" })), { does: "place", letter: "C" });
  assert.deepEqual(commandOf(press("C", { shiftKey: true })), { does: "tie", letter: "C" });
  const shifted = press("#", { code: "Digit3", shiftKey: true });
  assert.deepEqual(commandOf(shifted), { does: "tie", letter: "C" });
});

test("letters beyond I and held keys mean nothing", () => {
  assert.equal(commandOf(press("j")), null);
  assert.equal(commandOf(press("0", { code: "Digit0" })), null);
  assert.equal(commandOf(press("a", { repeat: true })), null);
  assert.equal(commandOf(press("Enter", { repeat: true })), null);
});

test("the page keeps its own letters, and X says that all are bad", () => {
  for (const key of "?gsurlfv!GF") assert.equal(commandOf(press(key)), null, key);
  assert.deepEqual(commandOf(press("7", { code: "Digit7" })), { does: "place", letter: "G" });
  assert.deepEqual(commandOf(press("x")), { does: "all-bad" });
  assert.equal(commandOf(press("x", { repeat: true })), null);
});

test("the browser keeps its own combinations", () => {
  assert.equal(commandOf(press("a", { ctrlKey: true })), null);
  assert.equal(commandOf(press("d", { altKey: true })), null);
  assert.deepEqual(commandOf(press("z", { ctrlKey: true })), { does: "undo" });
});

test("arrows move the focus, with Alt they move the answer", () => {
  assert.deepEqual(commandOf(press("ArrowDown")), { does: "focus", direction: 1 });
  assert.deepEqual(commandOf(press("ArrowUp", { altKey: true })), { does: "move", direction: -1 });
});
