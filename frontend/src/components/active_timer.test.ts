import assert from "node:assert/strict";
import { test } from "node:test";

import { ActiveTimer } from "./active_timer.ts";

test("idle and hidden time do not count", () => {
  let now = 100;
  const timer = new ActiveTimer(0, () => now);
  now = 110;
  timer.touch(); // 10 s of work
  now = 1000;
  timer.touch(); // 890 s of silence count as the limit of 60 s
  assert.equal(timer.seconds(), 70);
  now = 1005;
  timer.pause(); // 5 s more, then the tab is hidden
  now = 5000;
  assert.equal(timer.seconds(), 75);
  timer.touch(); // back again: the hidden time is not counted
  now = 5002.04;
  assert.equal(timer.seconds(), 77);
});

test("it goes on from what counted before", () => {
  let now = 5;
  const timer = new ActiveTimer(12.5, () => now);
  now = 8;
  assert.equal(timer.seconds(), 15.5);
});
