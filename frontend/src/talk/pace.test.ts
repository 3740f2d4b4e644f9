import assert from "node:assert/strict";
import { test } from "node:test";

import { nextWait } from "./pace.ts";

test("while nothing moves the questions come more slowly, up to three seconds", () => {
  assert.equal(Math.round(nextWait(400, false)), 460); // 400 * 1.15
  assert.equal(nextWait(2_900, false), 3_000);
  assert.equal(nextWait(3_000, false), 3_000);
});

test("as soon as something moves they come quickly again", () => {
  assert.equal(nextWait(3_000, true), 400);
});
