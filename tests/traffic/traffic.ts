/** Mixed traffic against one address, from a process of its own, and the verdict over it. */
import { Child } from "./child.ts";
import { judge, MOST_REQUESTS, type Verdict } from "./oracle.ts";
import type { Receivers } from "./receivers.ts";
import type { SenderCommands } from "./sender_main.ts";
import type { Counts, SendersOptions, Targets } from "./senders.ts";

export type { Verdict } from "./oracle.ts";

export interface TrafficOptions extends Omit<SendersOptions, "streamMs" | "slowMs" | "timeoutMs"> {
  /** Where all of it arrives. */
  readonly receivers: Receivers;
  /** Of what senders choose: services, and lengths of bodies. */
  readonly seed: number;
  /** 2 000 if it is not told. */
  readonly streamMs?: number;
  /** 500 if it is not told. */
  readonly slowMs?: number;
  /** 10 000 if it is not told. */
  readonly timeoutMs?: number;
}

export interface Judged extends Verdict {
  /** Processor time of the senders' and the receivers' processes since they were started, in ms. */
  readonly cpuMs: { readonly senders: number; readonly receivers: number };
}

/** Starts it. It goes on until it is stopped; disposing ends it without a verdict. */
export async function startTraffic({ receivers, ...options }: TrafficOptions): Promise<Traffic> {
  await using used = new AsyncDisposableStack();
  const child = used.use(new Child<SenderCommands>("sender_main.ts"));
  const base = ++begun * MOST_REQUESTS;
  await child.ask("begin", { streamMs: 2_000, slowMs: 500, timeoutMs: 10_000, ...options, base });
  used.move();
  return new Traffic(child, receivers);
}

/** Of this process, whose receivers may see all of it. */
let begun = 0;

export class Traffic implements AsyncDisposable {
  constructor(private readonly child: Child<SenderCommands>, private readonly receivers: Receivers) {}

  /** Requests from now on choose among these services; those of a protocol that is not told stay as they are. */
  async aim(targets: Targets): Promise<void> {
    await this.child.ask("aim", targets);
  }

  /** What there was so far. */
  async counts(): Promise<Counts> {
    return await this.child.ask("counts", null);
  }

  /** Resolves when there was so much, with what there was. */
  async until(isEnough: (counts: Counts) => boolean): Promise<Counts> {
    for (;;) {
      const counts = await this.counts();
      if (isEnough(counts)) return counts;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Waits for the answers to what was sent, ends the senders' process, and judges. */
  async stop(): Promise<Judged> {
    const { sent, cpuMs: senders } = await this.child.ask("end", null);
    await this[Symbol.asyncDispose]();
    const { arrived, cpuMs: receivers } = await this.receivers.ledger();
    return { ...judge(sent, arrived), cpuMs: { senders, receivers } };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.child[Symbol.asyncDispose]();
  }
}

const LOOK_MS = 20;
