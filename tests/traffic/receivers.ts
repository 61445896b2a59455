/** Instances of services that write down what arrives, in a process of their own. */
import { Child } from "./child.ts";
import type { InstanceSpec } from "./instance.ts";
import type { Arrived } from "./ledger.ts";
import type { ReceiverCommands } from "./receiver_main.ts";

/** Starts them on free ports. An instance that says no more is of version 1 and speaks HTTP. */
export async function startReceivers(specs: readonly ReceiverSpec[]): Promise<Receivers> {
  const receivers = new Receivers();
  for (const spec of specs) await receivers.start(spec);
  return receivers;
}

export type ReceiverSpec = Pick<InstanceSpec, "id" | "service"> & Partial<InstanceSpec>;

export class Receivers implements AsyncDisposable {
  readonly #child = new Child<ReceiverCommands>("receiver_main.ts");
  readonly #ports = new Map<string, number>();

  /** Of an instance that was started; of its last start. */
  port(id: string): number {
    const port = this.#ports.get(id);
    if (port === undefined) throw new Error(`Cannot tell the port of instance "${id}": it was never started`);
    return port;
  }

  /** Starts one more, or one that was stopped, on another port; answers with it. */
  async start(spec: ReceiverSpec): Promise<number> {
    const port = await this.#child.ask("start", { version: 1, protocol: "http", ...spec });
    this.#ports.set(spec.id, port);
    return port;
  }

  /** Ends its connections at once, or `gently` when their requests are answered; resolves when they are gone. */
  async stop(id: string, { gently = false } = {}): Promise<void> {
    await this.#child.ask("stop", { id, gently });
  }

  /** The next so many answers of an instance that speaks HTTP break off in the middle. */
  async drop(id: string, answers: number): Promise<void> {
    await this.#child.ask("drop", { id, answers });
  }

  /** What arrived so far, and the processor time that it took, in ms. */
  async ledger(): Promise<{ readonly arrived: Arrived; readonly cpuMs: number }> {
    return await this.#child.ask("ledger", null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]();
  }
}
