import assert from "node:assert/strict";
import { test } from "node:test";

import { pressOf as press } from "../components/press.ts";
import { commandOf } from "./keys.ts";

test("the digits stand for the places of the scale, and for no more", () => {
  for (let levels = 2; levels <= 9; levels += 1) {
    const places = [..."123456789"].flatMap((digit) => {
      const command = commandOf(press(digit), levels);
      return command?.does === "choose" ? [command.place] : [];
    });
    assert.deepEqual(places, [...Array(levels).keys()]);
  }
  assert.equal(commandOf(press("0"), 9), null);
});

test("letters, Enter and arrows have their meaning", () => {
  assert.deepEqual(commandOf(press("t"), 8), { does: "tie" });
  assert.deepEqual(commandOf(press("B"), 8), { does: "both-bad" });
  assert.deepEqual(commandOf(press("w"), 8), { does: "reason" });
  assert.deepEqual(commandOf(press("Enter"), 8), { does: "submit" });
  assert.deepEqual(commandOf(press("ArrowDown"), 8), { does: "row", direction: 1 });
  assert.deepEqual(commandOf(press("ArrowLeft"), 8), { does: "step", direction: -1 });
});

test("the page's own keys, the browser's and held keys mean nothing here", () => {
  for (const key of "?gsurlfv!") assert.equal(commandOf(press(key), 9), null, key);
  assert.equal(commandOf(press("1", { ctrlKey: true }), 8), null);
  assert.equal(commandOf(press("t", { metaKey: true }), 8), null);
  assert.equal(commandOf(press("ArrowLeft", { altKey: true }), 8), null);
  assert.equal(commandOf(press("3", { repeat: true }), 8), null);
  assert.equal(commandOf(press("Enter", { repeat: true }), 8), null);
});
