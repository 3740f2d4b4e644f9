// The active seconds of the task at hand. They are kept on this device, so that a task that comes
// back, after a reload, a crash or an undo, goes on where it stopped.
import { ActiveTimer } from "./active_timer.ts";
import { recall, remember } from "./preferences.ts";

const KEEP_EVERY_SECONDS = 1;

export class TaskClock {
  #timer = new ActiveTimer();
  /** 0 between two tasks. */
  #task = 0;
  #kept = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  open(task: number): void {
    this.leave();
    this.#task = task;
    this.#kept = Number(recall(nameOf(task))) || 0;
    this.#timer = new ActiveTimer(this.#kept);
    if (document.hidden) this.#timer.pause();
  }

  seconds(): number {
    return this.#timer.seconds();
  }

  /** A sign of life. */
  touch(): void {
    this.#timer.touch();
    if (this.#timer.seconds() >= this.#kept + KEEP_EVERY_SECONDS) this.#keep();
  }

  /** The task waits for its turn. */
  leave(): void {
    this.#timer.pause();
    this.#keep();
    this.#task = 0;
  }

  /** The task is settled. */
  discard(): void {
    if (this.#task) remember(nameOf(this.#task), "");
    this.#task = 0;
  }

  /** A settled task is taken back; it took so long. */
  restore(task: number, seconds: number): void {
    remember(nameOf(task), String(seconds));
  }

  #follow(): void {
    if (!document.hidden) return this.#timer.touch();
    this.#timer.pause();
    this.#keep();
  }

  #keep(): void {
    if (!this.#task) return;
    this.#kept = this.#timer.seconds();
    remember(nameOf(this.#task), String(this.#kept));
  }
}

const nameOf = (task: number) => `seconds:${task}`;
