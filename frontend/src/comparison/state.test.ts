import assert from "node:assert/strict";
import { test } from "node:test";

import { TIE, type Pair } from "./scale.ts";
import { askedOf, choose, missing, payloadOf, saidFromDraft } from "./state.ts";
import { choiceName, nextSentence } from "./words.ts";

const SHOWN: Pair = [31, 7];
const B_BY_2 = { better: 1, strength: 2 } as const;

const start = (options: Record<string, unknown> = {}, draft: unknown = null) =>
  saidFromDraft(askedOf(options), SHOWN, draft);

test("one choice is a whole comparison when nothing more is asked", () => {
  const before = start();
  assert.deepEqual(missing(before), { row: 0 });
  const said = choose(before, 0, B_BY_2);
  assert.equal(missing(said), null);
  assert.deepEqual(payloadOf(said), {
    preferred: 7,
    strength: 2,
    levels: 8,
    both_bad: false,
    dimensions: {},
    reason: "",
  });
});

test("each dimension and a required reason are waited for", () => {
  let said = start({ levels: 5, dimensions: ["helpful", "honest"], reason: "required" });
  said = choose(said, 0, B_BY_2);
  assert.deepEqual(missing(said), { row: 1 });
  assert.equal(nextSentence(said), "Still to choose: helpful.");
  said = choose(choose(said, 1, TIE), 2, B_BY_2);
  assert.equal(missing(said), "reason");
  said = { ...said, reason: " It is kinder. " };
  assert.equal(missing(said), null);
  assert.deepEqual(payloadOf(said), {
    preferred: 7,
    strength: 2,
    levels: 5,
    both_bad: false,
    dimensions: { helpful: { preferred: null }, honest: { preferred: 7, strength: 2 } },
    reason: "It is kinder.",
  });
});

test("both bad alone is a tie where ties are taken, and needs a side where they are not", () => {
  const tied = { ...start({ levels: 8 }), bothBad: true };
  assert.equal(missing(tied), null);
  assert.deepEqual({ ...payloadOf(tied) }, { ...payloadOf(choose(tied, 0, TIE)) });
  assert.deepEqual(missing({ ...start({ levels: 8, tie: false }), bothBad: true }), { row: 0 });
  assert.equal(missing({ ...start({ levels: 9, tie: false }), bothBad: true }), null);
});

test("a draft is restored, whole or in part", () => {
  const options = { dimensions: ["helpful", "__proto__"], reason: "optional" };
  const whole = choose(choose(choose(start(options), 0, B_BY_2), 1, TIE), 2, B_BY_2);
  const said = { ...whole, bothBad: true, reason: "Kinder." };
  const draft: unknown = JSON.parse(JSON.stringify(payloadOf(said)));
  assert.deepEqual(saidFromDraft(said.asked, SHOWN, draft), said);
  const part = choose(start(options), 1, B_BY_2);
  assert.deepEqual(saidFromDraft(part.asked, SHOWN, payloadOf(part)), part);
});

test("what a draft says on another scale or about what is no longer asked is left out", () => {
  const draft = payloadOf({ ...choose(start({ levels: 8 }), 0, B_BY_2), bothBad: true });
  const now = start({ levels: 7, both_bad: false }, { ...draft, reason: "Kinder." });
  assert.deepEqual(now.choices, [null]);
  assert.equal(now.bothBad, false);
  assert.equal(now.reason, "Kinder.");
  assert.deepEqual(start({ tie: false }, { preferred: null }).choices, [null]);
  for (const odd of ["x", 3, [], { dimensions: null, both_bad: "yes", reason: 4 }]) {
    assert.deepEqual(start({}, odd), start());
  }
});

test("every place of every scale has a name of its own", () => {
  assert.equal(choiceName({ better: 0, strength: 4 }, 8), "A is much better");
  assert.equal(choiceName({ better: 1, strength: 1 }, 9), "B is barely better");
  assert.equal(choiceName({ better: 1, strength: 1 }, 3), "B is better");
  assert.equal(choiceName(TIE, 3), "A and B are equally good");
  for (let levels = 2; levels <= 9; levels += 1) {
    const half = Math.floor(levels / 2);
    const names = [...Array(half).keys()].map((index) =>
      choiceName({ better: 0, strength: index + 1 }, levels),
    );
    assert.equal(new Set(names).size, half);
    assert.ok(names.every((name) => name.startsWith("A is ")));
  }
});
