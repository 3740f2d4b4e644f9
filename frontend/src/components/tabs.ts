// What the tabs of one browser tell each other, so that no task is worked on twice.

type Message =
  | { readonly says: "opened"; readonly id: number }
  | { readonly says: "settled"; readonly id: number; readonly next: number | null }
  | { readonly says: "left"; readonly id: number };

export interface TabEvents {
  /** Another tab works on this task now. */
  opened(id: number): void;
  /** Another tab handed it in or skipped it, and went on with `next`. */
  settled(id: number, next: number | null): void;
}

export class Tabs {
  readonly #channel = new BroadcastChannel("preferendum:tasks");
  #mine: number | null = null;
  #theirs: number | null = null;

  constructor(events: TabEvents) {
    this.#channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      this.#follow(data);
      if (data.says === "opened") events.opened(data.id);
      else if (data.says === "settled") events.settled(data.id, data.next);
    });
    window.addEventListener("pagehide", () => {
      if (this.#mine !== null) this.#send({ says: "left", id: this.#mine });
    });
  }

  /** What another tab is at, as far as it told; not worth taking away from it. */
  get theirs(): number | undefined {
    return this.#theirs ?? undefined;
  }

  opened(id: number): void {
    this.#mine = id;
    if (this.#theirs === id) this.#theirs = null;
    this.#send({ says: "opened", id });
  }

  settled(id: number, next: number | null): void {
    this.#mine = next;
    this.#send({ says: "settled", id, next });
  }

  #follow(message: Message): void {
    if (message.says === "opened") this.#theirs = message.id;
    else if (message.says === "settled") this.#theirs = message.next;
    else if (message.id === this.#theirs) this.#theirs = null;
  }

  #send(message: Message): void {
    this.#channel.postMessage(message);
  }
}
