// The page of written dialogues: the person says both sides, and may ask for suggestions.
import { Session } from "../components/session.ts";
import { AnswerStage } from "../talk/answer_stage.ts";
import { Talk } from "../talk/talk.ts";

new Session((session) => new Talk(session, (actions) => new AnswerStage(actions)));
