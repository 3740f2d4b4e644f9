import assert from "node:assert/strict";
import { test } from "node:test";
import { discard, NOTHING, payloadOf, savedOf, startFrom, writingOf } from "./draft_text.ts";

const DRAFT = { id: 7, text: "Boil it." };

test("a draft goes into an empty box, and takes the place of own words for a while", () => {
  assert.equal(startFrom(NOTHING, DRAFT).text, "Boil it.");
  const own = { ...NOTHING, text: "Fry it" };
  const started = startFrom(own, DRAFT);
  assert.deepEqual(started, { text: "Boil it.", aside: "Fry it", edits: DRAFT });
  assert.equal(startFrom(started, DRAFT), started);
});

test("changing one's mind, and back, loses neither text", () => {
  const edited = { text: "Boil it well.", aside: "Fry it", edits: DRAFT };
  const own = discard(edited);
  assert.deepEqual(own, { text: "Fry it", aside: "Boil it well.", edits: null });
  assert.deepEqual(startFrom(own, DRAFT), edited);
  assert.equal(discard(NOTHING), NOTHING);
});

test("only an edited draft is named in what is sent", () => {
  const edited = { text: " Boil it well.\n", aside: "Fry it", edits: DRAFT };
  assert.deepEqual(payloadOf(edited), { text: "Boil it well.", edited_from: 7 });
  assert.deepEqual(payloadOf(discard(edited)), { text: "Fry it" });
});

test("what was saved comes back, and a draft of another task does not", () => {
  const edited = { text: "Boil it well.", aside: "Fry it", edits: DRAFT };
  assert.deepEqual(writingOf(savedOf(edited), DRAFT), edited);
  assert.deepEqual(writingOf(savedOf(edited), null).edits, null);
  assert.deepEqual(writingOf(savedOf(edited), { id: 8, text: "" }).edits, null);
  for (const saved of [null, undefined, 5, "text", [], { text: 5, aside: [], edited_from: "7" }]) {
    assert.deepEqual(writingOf(saved, DRAFT), NOTHING);
  }
});
