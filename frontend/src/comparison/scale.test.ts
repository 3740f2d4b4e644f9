import assert from "node:assert/strict";
import { test } from "node:test";

import { choiceOf, preferenceOf, scaleOf, TIE, type Pair } from "./scale.ts";

const SHOWN: Pair = [31, 7];

test("each scale runs from the first answer's strongest to the second's", () => {
  const signed = (levels: number) =>
    scaleOf(levels).map(({ better, strength }) => (better === 0 ? -strength : strength));
  assert.deepEqual(signed(2), [-1, 1]);
  assert.deepEqual(signed(3), [-1, 0, 1]);
  assert.deepEqual(signed(4), [-2, -1, 1, 2]);
  assert.deepEqual(signed(5), [-2, -1, 0, 1, 2]);
  assert.deepEqual(signed(6), [-3, -2, -1, 1, 2, 3]);
  assert.deepEqual(signed(7), [-3, -2, -1, 0, 1, 2, 3]);
  assert.deepEqual(signed(8), [-4, -3, -2, -1, 1, 2, 3, 4]);
  assert.deepEqual(signed(9), [-4, -3, -2, -1, 0, 1, 2, 3, 4]);
});

test("the server gets the better answer's id and the steps from the middle", () => {
  const sent = (levels: number) => scaleOf(levels).map((choice) => preferenceOf(choice, SHOWN));
  assert.deepEqual(sent(2), [
    { preferred: 31, strength: 1 },
    { preferred: 7, strength: 1 },
  ]);
  assert.deepEqual(sent(5), [
    { preferred: 31, strength: 2 },
    { preferred: 31, strength: 1 },
    { preferred: null },
    { preferred: 7, strength: 1 },
    { preferred: 7, strength: 2 },
  ]);
});

test("what was sent is read back as the same place, on every scale", () => {
  for (let levels = 2; levels <= 9; levels += 1) {
    const scale = scaleOf(levels);
    assert.equal(scale.length, levels);
    for (const choice of [...scale, TIE]) {
      assert.deepEqual(choiceOf(preferenceOf(choice, SHOWN), SHOWN, levels), choice);
    }
  }
});

test("what is off the scale or about another answer is no choice", () => {
  const off = [
    { preferred: 31, strength: 5 },
    { preferred: 31 },
    { preferred: 8, strength: 1 },
    { strength: 1 },
    { preferred: "31", strength: 1 },
    null,
    "31",
  ];
  for (const value of off) assert.equal(choiceOf(value, SHOWN, 8), null);
  assert.equal(choiceOf({ preferred: 31, strength: 2 }, SHOWN, 3), null);
});
