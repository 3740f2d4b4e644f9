import assert from "node:assert/strict";
import { test } from "node:test";

import * as walks from "./state.ts";

const SHOWN = [31, 7, 19];
const SCHEMA = walks.schemaOf({
  schema_version: 2,
  flags: [
    { name: "opinion", question: "Is it an opinion?" },
    { name: "rude", question: "Is it rude?" },
  ],
});
const start = walks.walkFromDraft(SHOWN, SCHEMA, null);

const ratedAll = (...numbers: number[]) =>
  numbers.reduce((walk, number) => walks.goTo(walks.rate(walk, number), walk.at + 1), start);

test("one walks from answer to answer, and no further than what is rated", () => {
  assert.equal(start.at, 0);
  assert.equal(walks.goTo(start, 1), start);
  const second = walks.goTo(walks.rate(start, 6), 1);
  assert.equal(second.at, 1);
  assert.equal(walks.goTo(second, 3), second);
  assert.equal(walks.goTo(second, 0).at, 0);
  assert.equal(walks.goTo(second, -1), second);
  assert.equal(walks.isOrdering(second), false);
  const all = ratedAll(6, 1, 7);
  assert.equal(walks.isOrdering(all), true);
  assert.equal(walks.goTo(all, 1).at, 1);
});

test("a number goes from 1 to 7, and a flag is one of the schema's", () => {
  for (const wrong of [0, 8, -1]) assert.equal(walks.rate(start, wrong), start);
  assert.equal(walks.toggleFlag(start, "kind"), start);
  const flagged = walks.toggleFlag(start, "rude");
  assert.deepEqual(flagged.ratings[0], { overall: null, flags: ["rude"] });
  assert.deepEqual(walks.toggleFlag(flagged, "rude"), start);
});

test("the payload names every answer by its id and the version of the flags", () => {
  const walk = walks.toggleFlag(walks.goTo(ratedAll(6, 1, 7), 1), "opinion");
  assert.deepEqual(walks.saidOf(walk), {
    ratings: [
      { completion: 31, overall: 6, flags: [] },
      { completion: 7, overall: 1, flags: ["opinion"] },
      { completion: 19, overall: 7, flags: [] },
    ],
    schema_version: 2,
  });
  assert.deepEqual(walks.saidOf(start), { ratings: [], schema_version: 2 });
});

test("a draft restores the place and the values", () => {
  const walk = walks.toggleFlag(walks.goTo(walks.rate(start, 6), 1), "rude");
  const draft: unknown = JSON.parse(JSON.stringify({ ...walks.saidOf(walk), at: walk.at }));
  assert.deepEqual(walks.walkFromDraft(SHOWN, SCHEMA, draft), walk);
  const all = ratedAll(6, 1, 7);
  // What was sent, taken back: it names no place, and goes on with the order.
  assert.equal(walks.walkFromDraft(SHOWN, SCHEMA, walks.saidOf(all)).at, 3);
  assert.equal(walks.walkFromDraft(SHOWN, SCHEMA, { ...walks.saidOf(all), at: 2 }).at, 2);
  assert.equal(walks.walkFromDraft(SHOWN, SCHEMA, { ...walks.saidOf(walk), at: 3 }).at, 1);
});

test("what does not fit in a draft is left out", () => {
  const draft = {
    ratings: [
      { completion: 31, overall: 8, flags: ["opinion", "gone", 4] },
      { completion: 7, overall: "6" },
      { completion: 5, overall: 6 },
      "x",
    ],
    at: "2",
  };
  const walk = walks.walkFromDraft(SHOWN, SCHEMA, draft);
  assert.deepEqual(walk.ratings, [
    { overall: null, flags: ["opinion"] },
    { overall: null, flags: [] },
    { overall: null, flags: [] },
  ]);
  assert.equal(walk.at, 0);
  for (const odd of ["x", 3, [], { ratings: 4, at: -1 }]) {
    assert.deepEqual(walks.walkFromDraft(SHOWN, SCHEMA, odd), start);
  }
});
