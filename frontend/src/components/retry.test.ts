import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../api/client.ts";
import { isPassing, pauseSeconds } from "./retry.ts";

const away = new ApiError("server_unreachable", "", 0);

test("only what may pass by itself is tried again", () => {
  assert.ok(isPassing(away));
  assert.ok(isPassing(new ApiError("http_503", "", 503)));
  assert.ok(!isPassing(new ApiError("page_error", "", 0)));
  assert.ok(!isPassing(new ApiError("assignment_expired", "", 409)));
  assert.ok(!isPassing(new ApiError("http_500", "", 500)), "a defect: it would fail again");
  assert.ok(!isPassing(new TypeError("x")));
});

test("the pauses grow up to half a minute, and a throttle is obeyed", () => {
  const pauses = [0, 1, 2, 3, 4, 9].map((tries) => pauseSeconds(away, tries));
  assert.deepEqual(pauses, [2, 4, 8, 15, 30, 30]);
  const throttled = new ApiError("throttled", "", 429, { retry_after_seconds: 40 });
  assert.equal(pauseSeconds(throttled, 0), 40);
});
