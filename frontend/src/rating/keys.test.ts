import assert from "node:assert/strict";
import { test } from "node:test";

import { pressOf as press } from "../components/press.ts";
import { commandOf, flagKey } from "./keys.ts";

test("the digits 1 to 7 rate", () => {
  const rated = [..."0123456789"].flatMap((digit) => {
    const command = commandOf(press(digit), 11);
    return command?.does === "rate" ? [command.overall] : [];
  });
  assert.deepEqual(rated, [1, 2, 3, 4, 5, 6, 7]);
});

test("each of thirty flags has a key of its own that raises it", () => {
  const seen = new Set<string>();
  for (let index = 0; index < 30; index += 1) {
    const key = flagKey(index);
    assert.ok(key);
    seen.add(`${key.letter} ${key.shift}`);
    const typed = key.shift ? key.letter : key.letter.toLowerCase();
    const command = commandOf(press(typed, { shiftKey: key.shift }), 30);
    assert.deepEqual(command, { does: "flag", index });
  }
  assert.equal(seen.size, 30);
  assert.equal(commandOf(press("q"), 11), null, "there are fewer flags");
});

test("Enter and the arrows lead on and back, once for each press", () => {
  assert.deepEqual(commandOf(press("Enter"), 11), { does: "next" });
  assert.deepEqual(commandOf(press("ArrowRight"), 11), { does: "next" });
  assert.deepEqual(commandOf(press("ArrowLeft"), 11), { does: "back" });
  assert.equal(commandOf(press("Enter", { repeat: true }), 11), null);
  assert.equal(commandOf(press("ArrowDown"), 11), null, "it scrolls");
});

test("the page's own keys and the browser's mean nothing here", () => {
  for (const key of "?gsurlfvx!GSURLFVX") {
    const shiftKey = key !== key.toLowerCase();
    assert.equal(commandOf(press(key, { shiftKey }), 30), null, key);
  }
  assert.equal(commandOf(press("a", { ctrlKey: true }), 11), null);
  assert.equal(commandOf(press("3", { repeat: true }), 11), null);
  assert.equal(commandOf(press("Tab"), 11), null);
});
