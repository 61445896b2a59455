/**
 * Many watchers of the whole map in a process of their own, each on a connection of its own, that come back from where
 * they were. Arguments: the address, how many, and `called` for those who wait for SIGUSR2 before they come back. Lines
 * are JSON: `standing`, when each has an update of its newest stream; `newest`, a revision that all of them have;
 * `gone`, when all streams have broken.
 */
import { Program, record } from "../bench/program.ts";
import type { At } from "./oracle_watch.ts";
import { openRawWatch } from "./raw_watch.ts";

export interface Herd extends AsyncDisposable {
  /** Resolves the next time that each has an update of its newest stream. */
  standing(): Promise<void>;
  /** Resolves the next time that the streams of all of them have broken. */
  gone(): Promise<void>;
  /** Resolves when all of them have a revision that is not before this one. */
  holds(revision: bigint): Promise<void>;
  /** All come back at once. */
  call(): void;
  /** The process stands still, or goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
}

/**
 * Starts them, as if they had watched up to `from`; answers when all watch. Those who are not `called` come back by
 * themselves.
 */
export async function startHerd(address: string, count: number, mode: "called" | "free", from: At): Promise<Herd> {
  const position = [from.epoch, from.revision].map(String);
  const program = Program.deno("tests/faults/herd.ts", address, `${count}`, mode, ...position);
  const next = (name: string) => program.next((line) => record(line, name));
  const standing = next("standing");
  let newest = 0n;
  let told = Promise.withResolvers<void>();
  // Listens to the end: lines of one chunk would come too soon for another listener.
  const listening = program.next((line) => {
    const found = record(line, "newest");
    if (!found) return undefined;
    newest = BigInt(String(found["newest"]));
    told.resolve();
    told = Promise.withResolvers();
    return undefined;
  });
  listening.catch(() => {});
  const { pid } = await next("pid");
  await standing;
  return {
    standing: async () => void await next("standing"),
    gone: async () => void await next("gone"),
    async holds(revision) {
      while (newest < revision) await Promise.race([told.promise, listening]);
    },
    call: () => Deno.kill(Number(pid), "SIGUSR2"),
    signal: (signal) => Deno.kill(Number(pid), signal),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

interface Member {
  position: At;
  standing: boolean;
}

class Members {
  readonly #all: readonly Member[];
  readonly #address: string;
  readonly #called: () => Promise<void>;
  #newest: bigint;
  /** Those that do not have the newest yet. */
  #behind = 0;

  constructor(address: string, count: number, from: At, called: () => Promise<void>) {
    this.#address = address;
    this.#called = called;
    this.#newest = from.revision;
    this.#all = Array.from({ length: count }, () => ({ position: from, standing: false }));
  }

  start(): void {
    for (const member of this.#all) this.#keep(member);
  }

  /** Watches over one stream after the other. */
  async #keep(member: Member): Promise<never> {
    for (;;) {
      const watch = openRawWatch({
        address: this.#address,
        realm: "local",
        onPart: ({ complete, last, position }) => {
          if (complete) throw new Error(`Not resumed: complete, though ${member.position.revision} was held`);
          if (!last || !position) return;
          watch.received(position);
          this.#got(member, position);
        },
      });
      watch.subscribe(1, [], member.position);
      await watch.ended;
      const stood = member.standing;
      member.standing = false;
      if (stood && this.#all.every(({ standing }) => !standing)) print({ gone: true });
      await (stood ? this.#called() : new Promise<void>((resolve) => setTimeout(resolve, 100)));
    }
  }

  #got(member: Member, position: At): void {
    const before = member.position.revision;
    member.position = position;
    if (position.revision > this.#newest) {
      this.#newest = position.revision;
      this.#behind = this.#all.length;
    }
    if (before < this.#newest && position.revision === this.#newest && --this.#behind === 0) {
      print({ newest: `${this.#newest}` });
    }
    if (member.standing) return;
    member.standing = true;
    if (this.#all.every(({ standing }) => standing)) print({ standing: true });
  }
}

const encoder = new TextEncoder();

function print(line: object): void {
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));
}

function main([address = "", count, mode, epoch = "", revision = ""]: readonly string[]): void {
  let call = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGUSR2", () => {
    call.resolve();
    call = Promise.withResolvers();
  });
  const from = { epoch: BigInt(epoch), revision: BigInt(revision) };
  new Members(address, Number(count), from, () => mode === "called" ? call.promise : Promise.resolve()).start();
  // Nothing else keeps a process that waits for a signal.
  setInterval(() => {}, 1_000);
  print({ pid: Deno.pid });
}

if (import.meta.main) main(Deno.args);
