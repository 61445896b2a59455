/** The process from which requests are sent, and what it can be asked. */
import { Chance } from "../faults/seed.ts";
import { serve } from "./child.ts";
import { Senders, type SendersOptions, type Targets } from "./senders.ts";

export interface Begin extends SendersOptions {
  /** Where ids of requests begin. */
  readonly base: number;
  readonly seed: number;
}

let senders: Senders | undefined;

const commands = {
  begin({ base, seed, ...options }: Begin): void {
    senders = new Senders(options, base, new Chance(seed));
  },
  aim: (targets: Targets) => begun().aim(targets),
  counts: (_: null) => begun().counts(),
  end: async (_: null) => ({ sent: await begun().end(), cpuMs: cpuMs() }),
};

export type SenderCommands = typeof commands;

function begun(): Senders {
  if (!senders) throw new Error("Cannot ask senders: they have not begun");
  return senders;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

if (import.meta.main) await serve(commands);
