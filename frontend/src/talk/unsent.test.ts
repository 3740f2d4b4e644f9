import assert from "node:assert/strict";
import { test } from "node:test";

import type { Turn } from "../api/turns.ts";
import { Unsent } from "./unsent.ts";

const turns = [{ id: 7, parent: null }] as unknown as Turn[];

test("a message waits where it was begun until it is taken up again", () => {
  const unsent = new Unsent();
  unsent.keep(null, "at the start");
  unsent.keep(7, "after seven");
  assert.equal(unsent.take(7), "after seven");
  assert.equal(unsent.take(7), "");
  assert.deepEqual(unsent.draft(), [{ parent: null, text: "at the start" }]);
  unsent.keep(null, "  ");
  assert.deepEqual(unsent.draft(), []);
});

test("what was begun comes back from a draft, but not at turns that are gone", () => {
  const unsent = new Unsent();
  unsent.restore([{ parent: 7, text: "a" }, { parent: 9, text: "b" }, { parent: null, text: "c" }], turns);
  assert.deepEqual([unsent.take(7), unsent.take(9), unsent.take(null)], ["a", "", "c"]);
  for (const broken of [undefined, "x", [null], [{ parent: 7 }], [{ text: 3 }]]) {
    unsent.restore(broken, turns);
    assert.deepEqual(unsent.draft(), []);
  }
});
