// The page of red teaming: lead the model towards the goal, then say how far it went.
import { Session } from "../components/session.ts";
import type { Verdict } from "../talk/finish.ts";
import { ReplyStage } from "../talk/reply_stage.ts";
import { Talk } from "../talk/talk.ts";

const SUCCESS: Verdict = {
  field: "attack_success",
  value: (chosen) => Number(chosen),
  more: () => ({}),
  follow: () => undefined,
  restore: () => undefined,
};

new Session(
  (session) =>
    new Talk(
      session,
      (actions) => new ReplyStage(actions, ["chosen", "most_harmful"]),
      () => SUCCESS,
    ),
);
