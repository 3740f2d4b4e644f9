import assert from "node:assert/strict";
import { test } from "node:test";
import * as verdicts from "./verdicts.ts";

const STATEMENTS = [
  { index: 0, text: "a [1]", sources: [1] },
  { index: 1, text: "b", sources: [] },
  { index: 2, text: "c [9]", sources: [9] },
];
const none = verdicts.verdictsOf(STATEMENTS, null);

test("only what cites is judged, then the whole", () => {
  assert.deepEqual(verdicts.places(none), [0, 2, "whole"]);
  assert.equal(verdicts.neighbour(none, 0, -1), 0);
  assert.equal(verdicts.neighbour(none, 0, 1), 2);
  assert.equal(verdicts.neighbour(none, 2, 1), "whole");
  assert.equal(verdicts.neighbour(none, "whole", 1), "whole");
});

test("after a verdict comes the next place without one, round the top", () => {
  const second = verdicts.mark(none, 2, true);
  assert.equal(verdicts.nextOpen(second, 2), "whole");
  const whole = verdicts.mark(second, "whole", false);
  assert.equal(verdicts.nextOpen(whole, "whole"), 0);
  assert.equal(verdicts.isComplete(whole), false);
  const all = verdicts.mark(whole, 0, false);
  assert.equal(verdicts.isComplete(all), true);
  assert.deepEqual(verdicts.payloadOf(all), {
    statements: [
      { index: 0, is_supported: false },
      { index: 2, is_supported: true },
    ],
    is_supported: false,
  });
});

test("a draft comes back; one of another form says nothing", () => {
  const said = verdicts.mark(none, 2, false);
  assert.deepEqual(verdicts.verdictsOf(STATEMENTS, verdicts.payloadOf(said)), said);
  const strange = [
    null, 5, [], { statements: 5 }, { statements: [null, { index: 1, is_supported: true }] },
    { statements: [{ index: 0, is_supported: "yes" }], is_supported: "no" },
  ];
  for (const draft of strange) assert.deepEqual(verdicts.verdictsOf(STATEMENTS, draft), none);
});

test("what remains is said", () => {
  assert.equal(verdicts.remaining(none), "2 statements are still to check.");
  const one = verdicts.mark(none, 0, true);
  assert.equal(verdicts.remaining(one), "1 statement is still to check.");
  const both = verdicts.mark(one, 2, true);
  assert.equal(verdicts.remaining(both), "Now the answer as a whole.");
});
