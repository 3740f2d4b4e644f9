import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { gettext, interpolate, ngettext } from "./i18n.ts";

afterEach(() => {
  globalThis.preferendumWords = undefined;
});

test("without a catalog the words are English", () => {
  assert.equal(gettext("Submit"), "Submit");
  assert.equal(ngettext("%(num)s word", "%(num)s words", 1), "%(num)s word");
  assert.equal(ngettext("%(num)s word", "%(num)s words", 0), "%(num)s words");
});

test("a catalog of one form serves every number", () => {
  globalThis.preferendumWords = { Submit: "提交", "%(num)s word": ["%(num)s 个词"] };
  assert.equal(gettext("Submit"), "提交");
  assert.equal(gettext("Skip"), "Skip");
  assert.equal(ngettext("%(num)s word", "%(num)s words", 1), "%(num)s 个词");
  assert.equal(interpolate(ngettext("%(num)s word", "%(num)s words", 7), { num: 7 }), "7 个词");
});

test("an empty translation shows the English text", () => {
  globalThis.preferendumWords = { Submit: "", "one": ["", ""] };
  assert.equal(gettext("Submit"), "Submit");
  assert.equal(ngettext("one", "many", 2), "many");
});

test("a value that is not given stays visible", () => {
  assert.equal(interpolate("%(a)s and %(b)s", { a: "<b>" }), "<b> and %(b)s");
});
