import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { median, Sitting } from "./sitting.ts";

const kept = new Map<string, string>();

beforeEach(() => {
  kept.clear();
  Object.assign(globalThis, {
    localStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    },
  });
});

test("the median is the middle, or between the two in the middle", () => {
  assert.equal(median([9, 1, 4]), 4);
  assert.equal(median([1, 2, 40, 60]), 21);
  assert.equal(median([1.25, 1.5]), 1.4);
});

test("a sitting and a day are counted, and what is taken back does not count", () => {
  const first = new Sitting("a", () => "Monday");
  assert.equal(first.sentence(), "");
  for (const seconds of [4, 8, 100]) first.add(seconds);
  first.takeBack();
  assert.equal(first.sentence(), "2 done in this sitting · 2 today · median 6 s");
  const second = new Sitting("a", () => "Monday");
  second.add(9);
  assert.equal(second.sentence(), "1 done in this sitting · 3 today · median 8 s");
  assert.equal(new Sitting("b", () => "Monday").sentence(), "");
});

test("a new day begins at nothing, whatever the browser kept", () => {
  new Sitting("a", () => "Monday").add(4);
  assert.equal(new Sitting("a", () => "Tuesday").sentence(), "");
  kept.set("preferendum:sitting:a", "{broken");
  assert.equal(new Sitting("a", () => "Monday").sentence(), "");
});
