// The prompt-writing page: plain, few-shot or for a use case, with a tag that says what kind it is.
import type { Presentation } from "../api/assignments.ts";
import { el, find } from "../components/dom.ts";
import { gettext, interpolate } from "../components/i18n.ts";
import { Session, type Judgement } from "../components/session.ts";
import { renderText } from "../components/text.ts";
import { altKey, isSubmit, leaves } from "../writing/keys.ts";
import { lengthSentence } from "../writing/length.ts";
import * as prompts from "../writing/written_prompt.ts";
import type { Form, Pair, WrittenPrompt } from "../writing/written_prompt.ts";

class PromptWriting implements Judgement {
  readonly #session: Session;
  readonly #page = find("[data-write-prompt]");
  readonly #text = find<HTMLTextAreaElement>("[data-text]");
  readonly #instruction = find<HTMLTextAreaElement>("[data-instruction]");
  readonly #pairs = find("[data-pairs]");
  readonly #submit = find<HTMLButtonElement>("[data-submit]");
  #forms: readonly Form[] = ["plain"];
  #prompt: WrittenPrompt = prompts.promptOf(null, ["plain"], 0);

  constructor(session: Session) {
    this.#session = session;
    this.#page.addEventListener("input", () => this.#read());
    this.#submit.addEventListener("click", () => void session.submit());
  }

  open(task: Presentation, draft: unknown): void {
    this.#forms = prompts.formsOf(task.details["forms"]);
    const numPairs = Number(task.options["num_pairs"]) || 0;
    this.#prompt = prompts.promptOf(draft, this.#forms, numPairs);
    this.#showBrief(task.brief);
    this.#fill();
    this.#draw();
    this.#focusFirst();
  }

  payload(seconds: number): object | null {
    if (prompts.missingOf(this.#prompt) !== null) return null;
    return { ...prompts.payloadOf(this.#prompt), seconds_spent: seconds };
  }

  missing(): string {
    return prompts.missingOf(this.#prompt) ?? "";
  }

  busy(busy: boolean): void {
    for (const field of this.#page.querySelectorAll("textarea")) field.readOnly = busy;
    this.#submit.classList.toggle("busy", busy);
    this.#submit.setAttribute("aria-busy", String(busy));
  }

  key(event: KeyboardEvent): boolean {
    if (leaves(event)) return true;
    const pressed = altKey(event);
    if (pressed === "k") return this.#nextForm();
    if (pressed !== null && /\d/.test(pressed)) return this.#tag(pressed);
    if (!isSubmit(event)) return false;
    void this.#session.submit();
    return true;
  }

  #nextForm(): boolean {
    const next = this.#forms.indexOf(this.#prompt.form) + 1;
    const form = this.#forms[next % this.#forms.length] ?? this.#prompt.form;
    radio("form", form).checked = true;
    this.#read();
    this.#focusFirst();
    return true;
  }

  /** Alt+1 is the first tag, Alt+0 the tenth. */
  #tag(digit: string): boolean {
    const tags = document.querySelectorAll<HTMLInputElement>("input[name=use_case]");
    const tag = tags[(Number(digit) + 9) % 10];
    if (!tag) return false;
    tag.checked = true;
    this.#session.announce(tag.labels?.[0]?.innerText ?? "");
    this.#read();
    return true;
  }

  #showBrief(brief: Presentation["brief"]): void {
    find("[data-use-case]").hidden = brief === null;
    find("[data-use-case-name]").textContent = brief?.name ?? "";
    if (brief) renderText(find("[data-use-case-text]"), brief.text);
  }

  #fill(): void {
    const prompt = this.#prompt;
    this.#text.value = prompt.text;
    this.#instruction.value = prompt.instruction;
    this.#pairs.replaceChildren(...prompt.pairs.map(pairFields));
    find("[data-forms]").hidden = this.#forms.length < 2;
    for (const input of document.querySelectorAll<HTMLInputElement>("input[name=form]")) {
      const label = input.closest("label");
      if (label) label.hidden = !this.#forms.some((form) => form === input.value);
      input.checked = input.value === prompt.form;
    }
    for (const input of document.querySelectorAll<HTMLInputElement>("input[name=use_case]")) {
      input.checked = input.value === prompt.use_case;
    }
  }

  #read(): void {
    const form = this.#forms.find((name) => radio("form", name).checked) ?? this.#prompt.form;
    const tag = document.querySelector<HTMLInputElement>("input[name=use_case]:checked");
    this.#prompt = {
      form,
      text: this.#text.value,
      instruction: this.#instruction.value,
      pairs: [...this.#pairs.children].map(pairOf),
      use_case: tag?.value ?? "",
    };
    this.#draw();
    this.#session.changed(this.#prompt);
  }

  #draw(): void {
    const missing = prompts.missingOf(this.#prompt);
    const isFewShot = this.#prompt.form === "few_shot";
    find('[data-part="few_shot"]').hidden = !isFewShot;
    find('[data-part="text"]').hidden = isFewShot;
    find("[data-counter]").textContent = lengthSentence(prompts.wholeOf(this.#prompt));
    this.#submit.setAttribute("aria-disabled", String(missing !== null));
    find("[data-why]").textContent = missing ?? "";
  }

  /** The first field of the form that is still empty, or the first one. */
  #focusFirst(): void {
    const part = this.#prompt.form === "few_shot" ? "few_shot" : "text";
    const fields = [...document.querySelectorAll<HTMLTextAreaElement>(`[data-part="${part}"] textarea`)];
    const field = fields.find(({ value }) => !value.trim()) ?? fields[0];
    field?.focus({ preventScroll: true });
  }
}

function pairFields(pair: Pair, index: number): HTMLElement {
  const legend = interpolate(gettext("Example %(number)s"), { number: index + 1 });
  return el(
    "fieldset",
    { class: "plain pair" },
    el("legend", {}, legend),
    field(`query-${index}`, gettext("Query"), pair.query),
    field(`response-${index}`, gettext("Response"), pair.response),
  );
}

function field(id: string, label: string, value: string): HTMLElement {
  const area = el("textarea", { id, dir: "auto", rows: 2 });
  area.value = value;
  return el("div", { class: "labelled" }, el("label", { for: id }, label), area);
}

function pairOf(fieldset: Element): Pair {
  const [query, response] = fieldset.querySelectorAll("textarea");
  return { query: query?.value ?? "", response: response?.value ?? "" };
}

function radio(name: string, value: string): HTMLInputElement {
  return find<HTMLInputElement>(`input[name="${name}"][value="${value}"]`);
}

new Session((session) => new PromptWriting(session));
