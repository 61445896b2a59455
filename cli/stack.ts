import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import { killLeftovers } from "./leftovers.ts";

/** One program of the stack. */
interface Part {
  /** In messages, and its log's name. */
  readonly name: string;
  /** The higher ones are stopped first. */
  readonly rank: number;
  /** Permission set of deno.json. */
  readonly rights: string;
  readonly main: string;
  readonly args: readonly string[];
}

interface StackOptions {
  /** The checkout. */
  readonly root: string;
  readonly logs: string;
  readonly env: Readonly<Record<string, string>>;
}

/** How long a part may take to end before it is killed, in ms: the longest that one of them takes by itself. */
const GRACE_MS = 10_000;

/** Programs that make sense together only: when one ends, all are to end. */
export class Stack {
  /** Resolves when a part has ended that nobody stopped. */
  readonly broken: Promise<{ readonly child: Child; readonly how: string }>;
  readonly #options: StackOptions;
  readonly #children: { readonly rank: number; readonly child: Child }[] = [];
  #broke!: (what: { child: Child; how: string }) => void;
  #stopping = false;
  /** Whether a part ended in another way than it would by itself, and may have left something behind. */
  #forced = false;
  readonly #mark = `PORTOLAN_STACK=${crypto.randomUUID()}`;

  constructor(options: StackOptions) {
    this.#options = options;
    this.broken = new Promise((resolve) => this.#broke = resolve);
  }

  start({ name, rank, rights, main, args }: Part): void {
    if (this.#stopping) throw new Error(`Cannot start ${name}: everything is being stopped`);
    const { root, logs, env } = this.#options;
    const child = startChild({
      name,
      command: Deno.execPath(),
      args: [
        "run",
        ...["--quiet", "--cached-only", "--frozen", "--config", join(root, "deno.json")],
        ...[`-P=${rights}`, join(root, main), ...args],
      ],
      cwd: root,
      env: { ...env, ...Object.fromEntries([this.#mark.split("=")]) },
      log: join(logs, `${name}.log`),
    });
    this.#children.push({ rank, child });
    child.ended.then((how) => {
      if (this.#stopping) return;
      this.#forced = true;
      this.#broke({ child, how });
    });
  }

  /** Stops rank after rank, the parts of one rank together. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const ranks = [...new Set(this.#children.map(({ rank }) => rank))].sort((a, b) => b - a);
    for (const rank of ranks) {
      const peers = this.#children.filter((one) => one.rank === rank);
      const alone = await Promise.all(peers.map(({ child }) => child.stop(GRACE_MS)));
      if (alone.includes(false)) this.#forced = true;
    }
    if (this.#forced) await killLeftovers(this.#mark);
  }

  /** Ends everything at once. */
  kill(): void {
    this.#stopping = true;
    this.#forced = true;
    for (const { child } of this.#children) child.kill();
  }
}
