import assert from "node:assert/strict";
import { test } from "node:test";
import { formsOf, missingOf, payloadOf, promptOf, type WrittenPrompt } from "./written_prompt.ts";

const ALL = formsOf(["plain", "few_shot", "use_case"]);
const PAIRS = [
  { query: " dog", response: "Hund\n" },
  { query: "cow", response: "Kuh" },
];
const FEW_SHOT: WrittenPrompt = {
  form: "few_shot",
  text: "kept",
  instruction: "In German.",
  pairs: PAIRS,
  use_case: "rewrite",
};

test("forms nobody knows are left out, and one is always there", () => {
  assert.deepEqual(formsOf(["sonnet", "few_shot"]), ["few_shot"]);
  for (const offered of [undefined, null, "plain", [], ["sonnet"]]) {
    assert.deepEqual(formsOf(offered), ["plain"]);
  }
});

test("a task with a use case begins with it; a saved form wins where it is offered", () => {
  assert.equal(promptOf(null, ALL, 3).form, "use_case");
  assert.equal(promptOf(null, ["plain", "few_shot"], 3).form, "plain");
  assert.equal(promptOf({ form: "few_shot" }, ALL, 3).form, "few_shot");
  assert.equal(promptOf({ form: "use_case" }, ["few_shot"], 3).form, "few_shot");
});

test("what was saved comes back with as many pairs as are asked for", () => {
  assert.deepEqual(promptOf(FEW_SHOT, ALL, 2), FEW_SHOT);
  assert.equal(promptOf(FEW_SHOT, ALL, 1).pairs.length, 1);
  assert.deepEqual(promptOf(FEW_SHOT, ALL, 3).pairs[2], { query: "", response: "" });
  for (const saved of [null, 5, "text", [], { pairs: "dog", text: 5, instruction: null }]) {
    const empty = promptOf(saved, ALL, 1);
    assert.deepEqual(empty.pairs, [{ query: "", response: "" }]);
    assert.equal(empty.text + empty.instruction + empty.use_case, "");
  }
});

test("only the form in use is sent", () => {
  assert.deepEqual(payloadOf(FEW_SHOT), {
    form: "few_shot",
    use_case: "rewrite",
    instruction: "In German.",
    pairs: [{ query: "dog", response: "Hund" }, PAIRS[1]],
  });
  assert.deepEqual(payloadOf({ ...FEW_SHOT, form: "plain" }), {
    form: "plain",
    use_case: "rewrite",
    text: "kept",
  });
});

test("the first missing part is named", () => {
  assert.equal(missingOf(FEW_SHOT), null);
  assert.equal(missingOf({ ...FEW_SHOT, use_case: "" }), "Say what kind of prompt it is.");
  assert.equal(missingOf({ ...FEW_SHOT, instruction: " " }), "Write the instruction first.");
  const [first] = PAIRS;
  assert.ok(first);
  const unanswered = { ...FEW_SHOT, pairs: [first, { query: "cow", response: " " }] };
  assert.equal(missingOf(unanswered), "Write the response of example 2.");
  assert.equal(missingOf({ ...unanswered, form: "plain" }), null);
  assert.equal(missingOf({ ...FEW_SHOT, form: "plain", text: "" }), "Write a prompt first.");
  assert.match(missingOf({ ...FEW_SHOT, instruction: "x".repeat(32_001) }) ?? "", /longer/);
});
