import assert from "node:assert/strict";
import { test } from "node:test";
import { pressOf as press } from "../components/press.ts";
import { commandOf } from "./keys.ts";

test("letters mark and move, arrows move, and nothing else does anything", () => {
  for (const key of ["y", "Y"]) {
    assert.deepEqual(commandOf(press(key)), { does: "mark", isSupported: true });
  }
  assert.deepEqual(commandOf(press("n")), { does: "mark", isSupported: false });
  for (const key of ["j", "ArrowDown"]) {
    assert.deepEqual(commandOf(press(key)), { does: "move", direction: 1 });
  }
  for (const key of ["k", "ArrowUp"]) {
    assert.deepEqual(commandOf(press(key)), { does: "move", direction: -1 });
  }
  for (const key of ["Enter", " ", "ArrowLeft", "constructor"]) {
    assert.equal(commandOf(press(key)), null);
  }
});

test("a key held down moves on but judges nothing, and modifiers are for others", () => {
  assert.equal(commandOf(press("y", { repeat: true })), null);
  assert.deepEqual(commandOf(press("j", { repeat: true })), { does: "move", direction: 1 });
  for (const rest of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }]) {
    assert.equal(commandOf(press("y", rest)), null);
  }
});
