// The task to come, reserved and fetched while the person is still at this one.
import type { Presentation } from "../api/assignments.ts";
import { Lease } from "./lease.ts";

export type Claim = (aheadOf: number) => Promise<Presentation | null>;

export class Ahead {
  readonly #claim: Claim;
  readonly #lease = new Lease(() => this.forget());
  #task: Promise<Presentation | null> | null = null;
  #id: number | undefined;
  #shown = 0;

  constructor(claim: Claim) {
    this.#claim = claim;
  }

  /** The reserved one; not known while it is being asked for. */
  get id(): number | undefined {
    return this.#id;
  }

  /** In view now, so it is not to come any more. */
  shown(id: number): void {
    this.#shown = id;
    this.forget(id);
  }

  /** Reserves the one after what is shown, unless one is waiting already. */
  prepare(): void {
    if (this.#task) return;
    const asked: Promise<Presentation | null> = this.#claim(this.#shown).then(
      (task) => (task && task.id !== this.#shown && this.#task === asked ? this.#held(task) : null),
      () => null,
    );
    this.#task = asked;
  }

  /** Puts a task aside that the person will come back to. */
  hold(task: Presentation): void {
    this.#task = Promise.resolve(this.#held(task));
  }

  /** The waiting task, which is then not waiting any more; null when there is none for sure. */
  async take(): Promise<Presentation | null> {
    const task = await this.#task;
    this.forget();
    return task && Date.parse(task.lease_expires_at) > Date.now() ? task : null;
  }

  /** Lets go of what is waiting; with an id only if it is that one. */
  forget(id?: number): void {
    if (id !== undefined && id !== this.#id) return;
    this.#lease.stop();
    this.#task = null;
    this.#id = undefined;
  }

  /** A sign of life keeps the reservation, too. */
  touch(): void {
    this.#lease.touch();
  }

  #held(task: Presentation): Presentation {
    this.#id = task.id;
    this.#lease.start(task.id, task.lease_expires_at);
    return task;
  }
}
