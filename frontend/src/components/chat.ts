// A prompt drawn as the conversation it is.
import type { Message } from "../api/assignments.ts";
import { el } from "./dom.ts";

const SPEAKERS: Readonly<Record<Message["role"], string>> = {
  system: "Instruction",
  user: "Person",
  assistant: "Assistant",
};

export function renderChat(box: HTMLElement, messages: readonly Message[]): void {
  box.replaceChildren(...messages.map(renderMessage));
  box.scrollTop = box.scrollHeight;
}

function renderMessage(message: Message): HTMLElement {
  const speaker = el("span", { class: "speaker" }, SPEAKERS[message.role] ?? message.role);
  const text = el("div", { class: "prose", dir: "auto" }, message.content);
  return el("li", { class: "message", "data-role": message.role }, speaker, text);
}
