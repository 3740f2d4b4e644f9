import assert from "node:assert/strict";
import { test } from "node:test";
import { isSingle } from "./single_keys.ts";

const press = (key: string, rest: object = {}) => ({
  key,
  altKey: false,
  ctrlKey: false,
  metaKey: false,
  ...rest,
});

test("letters, digits and signs are single keys, in any script", () => {
  for (const key of ["s", "S", "1", "!", "?", ",", "=", "é", "Ω", "的", "𝒮"]) {
    assert.equal(isSingle(press(key)), true, key);
  }
});

test("keys that move, press or write lines are none", () => {
  for (const key of ["Tab", "Enter", " ", "Escape", "ArrowLeft", "Backspace", "F1", "Dead"]) {
    assert.equal(isSingle(press(key)), false, key);
  }
});

test("a key held together with another is none", () => {
  for (const held of ["altKey", "ctrlKey", "metaKey"]) {
    assert.equal(isSingle(press("d", { [held]: true })), false, held);
  }
});
