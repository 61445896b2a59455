/** The process in which instances run, and what it can be asked. */
import { serve } from "./child.ts";
import { startGrpcInstance } from "./grpc_instance.ts";
import { startHttpInstance } from "./http_instance.ts";
import { Arrivals, type Instance, type InstanceSpec } from "./instance.ts";
import { startTcpInstance } from "./tcp_instance.ts";

const START = { http: startHttpInstance, grpc: startGrpcInstance, tcp: startTcpInstance };

const arrivals = new Arrivals();
const running = new Map<string, Instance>();

const commands = {
  /** Answers with its port. */
  async start(spec: InstanceSpec): Promise<number> {
    if (running.has(spec.id)) throw new Error(`Cannot start instance "${spec.id}": it runs`);
    const instance = await START[spec.protocol](spec, arrivals.of(spec));
    running.set(spec.id, instance);
    return instance.port;
  },
  async stop({ id, gently }: { readonly id: string; readonly gently: boolean }): Promise<void> {
    await instanceOf(id).stop(gently);
    running.delete(id);
  },
  drop({ id, answers }: { readonly id: string; readonly answers: number }): void {
    const instance = instanceOf(id);
    if (!instance.drop) throw new Error(`Cannot drop answers of instance "${id}": expected one of HTTP`);
    instance.drop(answers);
  },
  ledger: (_: null) => ({ arrived: arrivals.ledger, cpuMs: cpuMs() }),
};

export type ReceiverCommands = typeof commands;

function instanceOf(id: string): Instance {
  const instance = running.get(id);
  if (!instance) throw new Error(`Cannot find instance "${id}": it does not run`);
  return instance;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

if (import.meta.main) await serve(commands);
