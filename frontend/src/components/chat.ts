// A prompt drawn as the conversation it is.
import type { Message } from "../api/assignments.ts";
import { el } from "./dom.ts";
import { gettext } from "./i18n.ts";
import { renderText } from "./text.ts";

export function renderChat(box: HTMLElement, messages: readonly Message[]): void {
  box.replaceChildren(...messages.map(renderMessage));
  box.scrollTop = box.scrollHeight;
}

function renderMessage(message: Message): HTMLElement {
  const text = el("div", { class: "prose" });
  renderText(text, message.content);
  const speaker = el("span", { class: "speaker" }, speakerOf(message.role));
  return el("li", { class: "message", "data-role": message.role }, speaker, text);
}

function speakerOf(role: Message["role"]): string {
  switch (role) {
    case "system":
      return gettext("Instruction");
    case "user":
      return gettext("Person");
    case "assistant":
      return gettext("Assistant");
  }
}
