// The page of live conversations: say something, choose the best of the replies, go on.
import { Session } from "../components/session.ts";
import { ReplyStage } from "../talk/reply_stage.ts";
import { Talk } from "../talk/talk.ts";

new Session(
  (session) => new Talk(session, (actions) => new ReplyStage(actions, ["chosen"])),
);
