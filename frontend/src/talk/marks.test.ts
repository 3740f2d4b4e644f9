import assert from "node:assert/strict";
import { test } from "node:test";

import { marked, missingMark, type Mark } from "./marks.ts";

const BOTH: readonly Mark[] = ["chosen", "most_harmful"];

test("one mark of one reply is all that most conversations ask for", () => {
  assert.deepEqual(marked({ chosen: 7 }, "chosen", 8, ["chosen"], [7, 8]), { chosen: 8 });
});

test("of two replies one mark says both", () => {
  assert.deepEqual(marked({}, "chosen", 7, BOTH, [7, 8]), { chosen: 7, most_harmful: 8 });
  assert.deepEqual(marked({}, "most_harmful", 7, BOTH, [7, 8]), { chosen: 8, most_harmful: 7 });
});

test("of three replies each mark is asked for, and none carries both", () => {
  const best = marked({}, "chosen", 7, BOTH, [7, 8, 9]);
  assert.equal(missingMark(best, BOTH), "most_harmful");
  const all = marked(best, "most_harmful", 9, BOTH, [7, 8, 9]);
  assert.deepEqual(all, { chosen: 7, most_harmful: 9 });
  assert.equal(missingMark(all, BOTH), null);
  const moved = marked(all, "chosen", 9, BOTH, [7, 8, 9]);
  assert.deepEqual(moved, { chosen: 9, most_harmful: null });
});
