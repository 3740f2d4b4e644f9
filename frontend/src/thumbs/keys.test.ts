import assert from "node:assert/strict";
import { test } from "node:test";
import { pressOf as press } from "../components/press.ts";
import { choiceOf, choiceOfDraft } from "./keys.ts";

test("two keys each say good and bad, and nothing else says anything", () => {
  assert.deepEqual(["y", "Y", "ArrowRight"].map((key) => choiceOf(press(key))), [true, true, true]);
  assert.deepEqual(["n", "N", "ArrowLeft"].map((key) => choiceOf(press(key))), [false, false, false]);
  for (const key of ["ArrowUp", "ArrowDown", "Enter", " ", "a", "toString", "constructor"]) {
    assert.equal(choiceOf(press(key)), null, key);
  }
});

test("a key held down or with a modifier judges nothing", () => {
  for (const rest of [{ repeat: true }, { ctrlKey: true }, { metaKey: true }, { altKey: true }]) {
    assert.equal(choiceOf(press("y", rest)), null);
  }
});

test("a draft of another form is no choice", () => {
  assert.equal(choiceOfDraft({ is_up: false }), false);
  assert.equal(choiceOfDraft({ is_up: true }), true);
  for (const draft of [null, undefined, "up", 1, [], {}, { is_up: "yes" }, { is_up: null }]) {
    assert.equal(choiceOfDraft(draft), null);
  }
});
