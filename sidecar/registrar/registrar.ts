/**
 * The registrar of a host: instances of services as the files of a folder say them, whatever language their processes
 * are written in. They are registered under one lease, checked, and taken off when their files go.
 */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Log } from "../../proto/log.ts";
import { ControlPlanes } from "../../sdk-ts/control_planes.ts";
import { type Ports, REAL } from "../../sdk-ts/ports.ts";
import { Wake } from "../wake.ts";
import { type Contents, ServicesFolder } from "./folder.ts";
import type { Home } from "./instance_spec.ts";
import { Ledger } from "./ledger.ts";
import { type Host, type InstanceView, LocalInstance } from "./local_instance.ts";
import { onceLog } from "./once_log.ts";
import { probe } from "./probe.ts";
import { callRoll, type Entry, type FileProblem, keyOf, type Roll } from "./roll.ts";

export interface RegistrarOptions {
  readonly servicesDir: string;
  /** The sidecar's data folder; it is there. */
  readonly dataFolder: string;
  readonly realm: string;
  /** `host:port` of each; tried in turn. */
  readonly controlPlanes: readonly string[];
  readonly home: Home;
  /** As the map has it; `undefined` where that is not known. */
  readonly serviceOf: (name: string) => Service | undefined;
  /** Whether a control plane has told the map. */
  readonly isMapKnown: () => boolean;
  /** Its instances leave when it ends; else they stay for the next sidecar. */
  readonly leavesForGood: boolean;
  readonly log: Log;
  /** How long instances stay when their host falls silent, in ms. */
  readonly ttlMs?: number;
  readonly ports?: Ports;
}

const TTL_MS = 15_000;
/** Changes are told by the system; this finds those that were not. */
const RESCAN_MS = 2_000;
/** The same while instances wait for the map, and how long they do. */
const WAITING_MS = 50;
const MAP_WITHIN_MS = 5_000;

/**
 * Runs until disposed: that is a matter of moments where instances stay, and takes up to 16 s where they leave for good. No
 * control plane that is away, and no file, makes it throw.
 */
export class Registrar implements AsyncDisposable {
  readonly #options: RegistrarOptions;
  readonly #host: Host;
  readonly #ledger: Ledger;
  readonly #folder: ServicesFolder;
  readonly #wake = new Wake();
  readonly #stop = new AbortController();
  /** By `SERVICE/ID`. */
  readonly #instances = new Map<string, LocalInstance>();
  readonly #rests = new Set<Promise<unknown>>();
  readonly #running: Promise<void>;
  #roll: Roll;
  /** The first look at the folder is done. */
  #hasBegun = false;
  #found: readonly FileProblem[] = [];
  /** Problems that are logged, with what stands in their files. */
  #told = new Map<string, string>();

  /** Begins, with what the sidecar before left. */
  static async start(options: RegistrarOptions): Promise<Registrar> {
    const { dataFolder, realm, log } = options;
    return new Registrar(options, await Ledger.open({ folder: dataFolder, realm, log }));
  }

  private constructor(options: RegistrarOptions, ledger: Ledger) {
    const { realm, controlPlanes, home, serviceOf, ports = REAL, ttlMs = TTL_MS } = options;
    this.#options = options;
    this.#ledger = ledger;
    const log = onceLog(options.log);
    const begunAt = ports.now();
    this.#host = {
      ...{ realm, home, ttlMs, ledger, serviceOf, probe, log, ports },
      addresses: controlPlanes,
      controlPlanes: new ControlPlanes(controlPlanes),
      isMapKnown: () => options.isMapKnown() || ports.now() - begunAt > MAP_WITHIN_MS,
      onGone: (instance, rest) => this.#gone(instance, rest),
    };
    this.#folder = new ServicesFolder({ path: options.servicesDir, log, onChange: () => this.#wake.set() });
    const noted = [...ledger.notes.values()].filter(({ isLeaving }) => !isLeaving);
    this.#roll = new Map(noted.map(({ entry }) => [entry.name, entry]));
    this.#running = this.#run();
  }

  /** What is registered or to be registered, and what is leaving. */
  get instances(): readonly InstanceView[] {
    return [...this.#instances.values()].map(({ view }) => view);
  }

  /** Files that cannot be used as they are. */
  get problems(): readonly FileProblem[] {
    return [...this.#found, ...[...this.#instances.values()].flatMap(({ problem }) => problem ?? [])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake.set();
    await this.#running;
    this.#wake.clear();
    this.#folder[Symbol.dispose]();
    const { leavesForGood } = this.#options;
    const all = [...this.#instances.values()];
    await Promise.all(all.map((instance) => leavesForGood ? instance.leaveForGood() : instance.release()));
    await Promise.all(this.#rests);
    await this.#ledger.save();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        this.#options.log.error("Cannot look at the services folder: trying again", { reason: error });
      }
      const isWaiting = [...this.#instances.values()].some((instance) => instance.isWaiting);
      this.#wake.later("look", isWaiting ? WAITING_MS : RESCAN_MS);
      await this.#wake.wait();
    }
  }

  async #look(): Promise<void> {
    this.#folder.watch();
    const contents = await this.#folder.settled();
    if (this.#stop.signal.aborted) return;
    await this.#take(contents);
    for (const instance of this.#instances.values()) instance.look();
    this.#tell(contents);
  }

  /** A folder that is not there says nothing of who is: all stay as they were. */
  async #take(contents: Contents): Promise<void> {
    const before = this.#roll;
    if (contents.kind === "files") {
      const { roll, problems } = callRoll(before, contents.files);
      this.#roll = roll;
      this.#found = problems;
    } else {
      this.#found = [{ file: this.#options.servicesDir, reason: contents.reason }];
    }
    const wanted = new Map([...this.#roll.values()].map((entry) => [keyOf(entry.file), entry]));
    if (!this.#hasBegun) this.#takeOver(wanted);
    this.#hasBegun = true;
    // Who comes before who goes: another id is another instance of the same process.
    await this.#bring(wanted);
    for (const [key, instance] of this.#instances) if (!wanted.has(key)) instance.leave();
  }

  /** What the sidecar before left goes on, or leaves. */
  #takeOver(wanted: ReadonlyMap<string, Entry>): void {
    for (const [key, note] of [...this.#ledger.notes]) {
      const entry = wanted.get(key);
      if (entry) this.#ledger.note(entry, { isLeaving: false });
      this.#instances.set(
        key,
        new LocalInstance(this.#host, entry ?? note.entry, { note, isWanted: entry !== undefined }),
      );
    }
  }

  async #bring(wanted: ReadonlyMap<string, Entry>): Promise<void> {
    const fresh = new Map([...wanted].filter(([key]) => !this.#instances.has(key)));
    for (const [key, entry] of wanted) this.#instances.get(key)?.want(entry);
    if (fresh.size === 0) return;
    // Before they are on the map: whoever comes after a crash can take them off.
    for (const entry of fresh.values()) this.#ledger.note(entry);
    await this.#ledger.save();
    for (const [key, entry] of fresh) this.#instances.set(key, new LocalInstance(this.#host, entry));
  }

  #gone(instance: LocalInstance, rest: Promise<unknown>): void {
    if (this.#instances.get(instance.key) === instance) this.#instances.delete(instance.key);
    this.#rests.add(rest);
    void rest.finally(() => this.#rests.delete(rest));
    this.#wake.set();
  }

  /** In the log, once per change of the file. */
  #tell(contents: Contents): void {
    const told = new Map<string, string>();
    for (const { file, reason } of this.problems) {
      const found = contents.kind === "files" ? contents.files.get(file) : undefined;
      const tells = `${reason}\n${found?.kind === "bytes" ? new TextDecoder().decode(found.bytes) : ""}`;
      told.set(file, tells);
      if (this.#told.get(file) === tells) continue;
      this.#options.log.error("Cannot use a services file: what it said before stays", { file, reason });
    }
    for (const file of this.#told.keys()) {
      if (!told.has(file)) this.#options.log.info("Nothing is wrong with a services file any more", { file });
    }
    this.#told = told;
  }
}
