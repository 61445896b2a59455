/**
 * Several hosts on one machine: a network namespace each, joined by a bridge in a namespace of its own. The machine's own
 * network is not touched, and nothing outside can be reached.
 */
import { Child, type ChildOptions } from "./child.ts";
import { ip } from "./ip.ts";
import { folderOf, newRunName, removeNamespace, sweep } from "./run_name.ts";

/** A host of a network. */
export interface NetworkHost {
  readonly name: string;
  /** IPv4, of its one interface. */
  readonly address: string;
  /** Starts a program inside. */
  start(program: string, args: readonly string[], options?: ChildOptions): Child;
  /**
   * From now on no packet passes between this host and the other ones, or one of them: they vanish, and nobody is told.
   * Connections that stand are half open then: who sends learns of it only by its own timeouts.
   */
  cut(from?: NetworkHost): Promise<void>;
  /** Packets pass again, to and from all, or one of them. */
  heal(to?: NetworkHost): Promise<void>;
}

/** Nobody has it: the bridge brings frames for it to all, and none takes them. */
const NOBODY = "02:77:00:00:ff:ff";
const MOST_HOSTS = 250;

/** Disposing kills whatever still runs on the hosts, and leaves nothing behind. One change of what is cut at a time. */
export class Network implements AsyncDisposable {
  readonly hosts: readonly NetworkHost[];
  /** For files of programs on the hosts; gone with the network. */
  readonly folder: string;
  readonly #run: string;
  readonly #subnet: string;
  readonly #children: Child[] = [];
  /** Pairs of places that cannot reach each other, the lower one first. */
  readonly #cuts = new Set<string>();

  private constructor(run: string, names: readonly string[]) {
    this.#run = run;
    this.#subnet = `10.77.${1 + Math.floor(Math.random() * 254)}`;
    this.folder = folderOf(run);
    this.hosts = names.map((name, at) => ({
      name,
      address: this.#addressOf(at),
      start: (program, args, options) => {
        const child = new Child("ip", ["netns", "exec", this.#namespaceOf(at), program, ...args], options);
        this.#children.push(child);
        return child;
      },
      cut: (from) => this.#set(pairs([at], this.#others(at, from)), true),
      heal: (to) => this.#set(pairs([at], this.#others(at, to)), false),
    }));
  }

  /** Makes a host for each name (`a-z`, `0-9`, `-`), all of which reach each other. Sweeps what dead runs have left. */
  static async open(names: readonly string[]): Promise<Network> {
    if (names.length > MOST_HOSTS) throw new RangeError(`Cannot make ${names.length} hosts: at most ${MOST_HOSTS}`);
    await sweep();
    await using made = new AsyncDisposableStack();
    const network = made.use(new Network(newRunName(), names));
    await network.#make();
    made.move();
    return network;
  }

  host(name: string): NetworkHost {
    const host = this.hosts.find((host) => host.name === name);
    if (!host) {
      throw new Error(`Cannot find host "${name}": there are ${this.hosts.map(({ name }) => name).join(", ")}`);
    }
    return host;
  }

  /** Hosts of different groups cannot reach each other from now on; hosts in no group reach all. */
  async partition(...groups: readonly (readonly NetworkHost[])[]): Promise<void> {
    const places = groups.map((group) => group.map((host) => this.hosts.indexOf(host)));
    await this.heal();
    await this.#set(places.flatMap((group, at) => pairs(group, places.slice(at + 1).flat())), true);
  }

  /** All hosts reach each other again. */
  async heal(): Promise<void> {
    const all = this.hosts.map((_, at) => at);
    await this.#set(pairs(all, all), false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#namespaces().map(removeNamespace));
    await Promise.all(this.#children.map((child) => child.end("SIGKILL")));
    await Deno.remove(this.folder, { recursive: true });
  }

  async #make(): Promise<void> {
    await Deno.mkdir(this.folder, { mode: 0o700 });
    await ip(undefined, this.#namespaces().map((namespace) => `netns add ${namespace}`));
    const wires = this.hosts.flatMap((_, at) => [
      `link add name h${at} type veth peer name eth0 address ${macOf(at)} netns ${this.#namespaceOf(at)}`,
      `link set dev h${at} master wires up`,
    ]);
    await ip(this.#bridge, ["link add name wires type bridge", "link set dev wires up", ...wires]);
    await Promise.all(this.hosts.map((_, at) =>
      ip(this.#namespaceOf(at), [
        "link set dev lo up",
        "link set dev eth0 up",
        `address add ${this.#addressOf(at)}/24 dev eth0`,
        ...this.#others(at).map((other) => this.#neighbour(at, other)),
      ])
    ));
  }

  /** Cuts pairs of places, or heals them. */
  async #set(between: readonly Pair[], cut: boolean): Promise<void> {
    const changed = between.filter((pair) => this.#cuts.has(keyOf(pair)) !== cut);
    for (const pair of changed) cut ? this.#cuts.add(keyOf(pair)) : this.#cuts.delete(keyOf(pair));
    const lines = new Map<number, string[]>();
    for (const [a, b] of [...changed, ...changed.map(([a, b]): Pair => [b, a])]) {
      lines.set(a, [...lines.get(a) ?? [], this.#neighbour(a, b)]);
    }
    await Promise.all([...lines].map(([at, lines]) => ip(this.#namespaceOf(at), lines)));
  }

  /**
   * Where a host's packets for another one go. Fixed, so that nobody has to ask: a question that is not answered would be
   * told to the sender after a while, as no route is at once.
   */
  #neighbour(at: number, other: number): string {
    const mac = this.#cuts.has(keyOf([at, other])) ? NOBODY : macOf(other);
    return `neighbour replace ${this.#addressOf(other)} lladdr ${mac} nud permanent dev eth0`;
  }

  #others(at: number, only?: NetworkHost): readonly number[] {
    if (only) return [this.hosts.indexOf(only)];
    return this.hosts.map((_, other) => other).filter((other) => other !== at);
  }

  get #bridge(): string {
    return `${this.#run}-bridge`;
  }

  #namespaceOf(at: number): string {
    return `${this.#run}-h${at}`;
  }

  #namespaces(): readonly string[] {
    return [this.#bridge, ...this.hosts.map((_, at) => this.#namespaceOf(at))];
  }

  #addressOf(at: number): string {
    return `${this.#subnet}.${at + 1}`;
  }
}

type Pair = readonly [number, number];

function pairs(some: readonly number[], others: readonly number[]): readonly Pair[] {
  return some.flatMap((a) => others.filter((b) => a !== b).map((b): Pair => [a, b]));
}

function keyOf([a, b]: Pair): string {
  return `${Math.min(a, b)}-${Math.max(a, b)}`;
}

function macOf(at: number): string {
  return `02:77:00:00:00:${(at + 1).toString(16).padStart(2, "0")}`;
}
