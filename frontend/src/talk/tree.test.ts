import assert from "node:assert/strict";
import { test } from "node:test";

import type { ReplyStatus, Turn } from "../api/turns.ts";
import * as tree from "./tree.ts";

const turn = (id: number, parent: number | null, more: Partial<Turn> = {}): Turn => ({
  id,
  parent,
  text: `message ${id}`,
  replies: [],
  chosen: null,
  most_harmful: null,
  edited_from: null,
  reply_text: "",
  reply_state: { status: "done", progress: 1, code: "", error: "" },
  ...more,
});

// 1 ─ 2 ─ 4        1 and 6 are two openings; 2, 3 and 5 three versions of what followed the first.
//   ├ 3
//   └ 5
// 6
const turns = [
  turn(1, null),
  turn(2, 1),
  turn(3, 1),
  turn(4, 2),
  turn(5, 1),
  turn(6, null),
];
const ids = (some: readonly Turn[]) => some.map(({ id }) => id);

test("a path goes from the first turn to where we stand", () => {
  assert.deepEqual(ids(tree.pathTo(turns, 4)), [1, 2, 4]);
  assert.deepEqual(tree.pathTo(turns, null), []);
  assert.deepEqual(tree.pathTo(turns, 99), []);
});

test("versions of a turn are counted and stepped through", () => {
  const third = turns[2] as Turn;
  assert.deepEqual(tree.versionOf(turns, third), { number: 2, count: 3 });
  assert.equal(tree.neighbourOf(turns, third, -1)?.id, 2);
  assert.equal(tree.neighbourOf(turns, third, 1)?.id, 5);
  assert.equal(tree.neighbourOf(turns, turns[5] as Turn, 1), null);
});

test("the newest turn under a place is the one made last", () => {
  assert.equal(tree.newestUnder(turns, 2), 4);
  assert.equal(tree.newestUnder(turns, 1), 5);
  assert.equal(tree.newestUnder(turns, null), 6);
  assert.equal(tree.newestUnder([], null), null);
});

test("the turn that a call made is the new one, or the same one found again", () => {
  const before = turns.slice(0, 5);
  assert.equal(tree.turnMade(before, turns, null, "message 6"), 6);
  assert.equal(tree.turnMade(turns, turns, 1, " message 3 "), 3);
});

test("only queued and running turns wait", () => {
  const waiting = (status: ReplyStatus) =>
    tree.isWaiting(turn(1, null, { reply_state: { status, progress: 0, code: "", error: "" } }));
  assert.deepEqual(["none", "queued", "running", "done", "failed"].map((name) =>
    waiting(name as ReplyStatus)), [false, true, true, false, false]);
});

test("a choice shows at once and leaves other turns alone", () => {
  const decided = tree.withChoice(turns, 2, { chosen: 7 });
  assert.equal(decided[1]?.chosen, 7);
  assert.equal(tree.withChoice(decided, 2, { most_harmful: 8 })[1]?.chosen, 7);
  assert.equal(decided[0], turns[0]);
});

test("a reload comes back to the branch that was being written", () => {
  assert.deepEqual(tree.restored(turns, "another way", 1), { at: 1, text: "another way" });
  assert.deepEqual(tree.restored(turns, "an opening", null), { at: null, text: "an opening" });
});

test("a reload without words comes back to the newest turn of the branch", () => {
  assert.deepEqual(tree.restored(turns, " ", 2), { at: 4, text: "" });
  assert.deepEqual(tree.restored(turns, "", null), { at: 6, text: "" });
  assert.deepEqual(tree.restored(turns, "", 99), { at: 6, text: "" });
});

test("words that were sent already are not offered again", () => {
  assert.deepEqual(tree.restored(turns, "message 2", 1), { at: 4, text: "" });
});
