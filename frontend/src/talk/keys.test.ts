import assert from "node:assert/strict";
import { test } from "node:test";

import { pressOf } from "../components/press.ts";
import { commandOf, sends } from "./keys.ts";

const press = (key: string, more: object = {}) => ({
  ...pressOf(key),
  isComposing: false,
  ...more,
});

test("letters and digits choose the best reply", () => {
  assert.deepEqual(commandOf(press("b")), { does: "best", index: 1 });
  assert.deepEqual(commandOf(press("4", { code: "Digit4" })), { does: "best", index: 3 });
  // Caps lock is no Shift.
  assert.deepEqual(commandOf(press("A")), { does: "best", index: 0 });
});

test("with Shift they name the most harmful one", () => {
  assert.deepEqual(commandOf(press("B", { shiftKey: true })), { does: "harmful", index: 1 });
  assert.equal(commandOf(press("!", { code: "Digit1", shiftKey: true })), null);
});

test("other letters, held keys and the browser's combinations mean nothing", () => {
  assert.equal(commandOf(press("f")), null);
  assert.equal(commandOf(press("5", { code: "Digit5" })), null);
  assert.equal(commandOf(press("a", { repeat: true })), null);
  assert.equal(commandOf(press("a", { ctrlKey: true })), null);
  assert.equal(commandOf(press("d", { altKey: true })), null);
  assert.equal(commandOf(press("N", { shiftKey: true })), null);
});

test("the other commands have their keys", () => {
  assert.deepEqual(commandOf(press("n")), { does: "again" });
  assert.deepEqual(commandOf(press("E")), { does: "edit" });
  assert.deepEqual(commandOf(press("h")), { does: "fold" });
  assert.deepEqual(commandOf(press(",")), { does: "version", step: -1 });
  assert.deepEqual(commandOf(press(".")), { does: "version", step: 1 });
});

test("Enter sends, unless it ends a line or picks a word", () => {
  assert.equal(sends(press("Enter")), true);
  assert.equal(sends(press("Enter", { shiftKey: true })), false);
  assert.equal(sends(press("Enter", { ctrlKey: true })), false);
  assert.equal(sends(press("Enter", { isComposing: true })), false);
  assert.equal(sends(press("Enter", { repeat: true })), false);
});
