import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "./copying.ts";

test("words are copied in any writing, names of a choice are not", () => {
  const draft = {
    form: "few_shot",
    use_case: "open_qa",
    completion: 17,
    instruction: "Translate.",
    pairs: [{ query: "罗勒需要每天浇水。", response: "Water the basil" }, { query: "", response: "" }],
  };
  assert.equal(wordsOf(draft), "Translate.\n\n罗勒需要每天浇水。\n\nWater the basil");
  assert.equal(wordsOf({ order: [[1], [2]], all_bad: false }), "");
  assert.equal(wordsOf(null), "");
});
