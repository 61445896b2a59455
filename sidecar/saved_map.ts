/**
 * The last good map on disk, from which a sidecar starts while no control plane answers. The file is the old one or the
 * new one, whenever the sidecar ends; what cannot be trusted in it is not used.
 */
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Log } from "../proto/log.ts";
import { samePosition } from "../proto/position.ts";
import type { FollowOptions, SavedSnapshot, Snapshot } from "../sdk-ts/follow.ts";
import { type Ports, REAL } from "../sdk-ts/ports.ts";
import { replaceFile } from "./disk.ts";
import { decodeMapFile, encodeMapFile, type MapFile } from "./map_file.ts";

export interface SavedMapOptions {
  /** The data folder; it is there, and nobody else writes into it. */
  readonly folder: string;
  /** What is asked for now. */
  readonly scope: FollowOptions["scope"];
  /** As of `Following`; asked at each write. */
  readonly heardAt: () => number | undefined;
  readonly log: Log;
}

/** What is there of a map: one, none, or a file that was set aside. */
export type LoadedMap =
  | {
    readonly kind: "map";
    readonly saved: SavedSnapshot;
    /** When a control plane last said that this is the map, in ms of the wall clock. */
    readonly heardAt: number;
  }
  | { readonly kind: "none" }
  | { readonly kind: "damaged"; readonly reason: string };

const FILE = "map.bin";
/** From the start of one write to that of the next, in ms. */
const EVERY_MS = 1_000;
/** The same where nothing but the position or the time has moved, and where the last write failed. */
const CALM_EVERY_MS = 10_000;
/** How long services are encoded at a stretch, in ms; a whole map would keep everything else waiting. */
const STRETCH_MS = 5;

export class SavedMap implements AsyncDisposable {
  readonly #options: SavedMapOptions;
  readonly #ports: Pick<Ports, "sleep" | "now">;
  readonly #encoded = new WeakMap<Service, Uint8Array>();
  #newest: Snapshot | undefined;
  /** What is in the file. */
  #written: Omit<MapFile, "scope"> | undefined;
  #writing: Promise<void> | undefined;
  #armed: { readonly due: number; readonly off: AbortController } | undefined;
  #triedAt = -Infinity;
  #failing = false;
  #closed = false;

  constructor(options: SavedMapOptions, ports: Pick<Ports, "sleep" | "now"> = REAL) {
    this.#options = options;
    this.#ports = ports;
  }

  /**
   * What was saved, as far as it is asked for now. A file that cannot be trusted, or holds less than that, is logged and
   * set aside as `map.bin.damaged`. Before the first `save`.
   */
  async load(): Promise<LoadedMap> {
    const read = await readFile(join(this.#options.folder, FILE));
    if (read.kind === "none") return read;
    if (read.kind === "damaged") return await this.#setAside(read.reason);
    const reason = unfit(read.map.scope, this.#options.scope);
    if (reason !== undefined) return await this.#setAside(reason);
    const { position, heardAt } = read.map;
    const [services, kept] = [this.#asked(read.map.services), this.#asked(read.map.kept)];
    this.#written = { position, heardAt, services, kept };
    return { kind: "map", saved: { position, services, kept }, heardAt };
  }

  /**
   * Sees to it that this snapshot, or a newer one, is in the file within seconds. A file that cannot be written is logged,
   * once until it can be, and tried again.
   */
  save(snapshot: Snapshot): void {
    if (this.#closed) return;
    this.#newest = snapshot;
    this.#arm();
  }

  /** Resolves once the newest snapshot is in the file, or could not be written. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
    await this.#write();
  }

  /** Writes what is not written yet; from here on nothing is saved any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#armed?.off.abort();
    await this.flush();
  }

  /** Makes sure that the next write comes as soon as it may. */
  #arm(): void {
    if (this.#closed || this.#writing || !this.#newest) return;
    const calm = this.#failing || sameServices(this.#written, mapOf(this.#newest));
    const due = this.#triedAt + (calm ? CALM_EVERY_MS : EVERY_MS);
    if (this.#armed && this.#armed.due <= due) return;
    this.#armed?.off.abort();
    const armed = this.#armed = { due, off: new AbortController() };
    void this.#ports.sleep(Math.max(0, due - this.#ports.now()), armed.off.signal).then(() => {
      if (!armed.off.signal.aborted) void this.#write();
    });
  }

  #write(): Promise<void> {
    this.#armed?.off.abort();
    this.#armed = undefined;
    return this.#writing = this.#tryWrite().finally(() => {
      this.#writing = undefined;
      this.#arm();
    });
  }

  async #tryWrite(): Promise<void> {
    this.#triedAt = this.#ports.now();
    if (!this.#newest) return;
    const { position } = this.#newest;
    const heardAt = this.#options.heardAt() ?? this.#written?.heardAt ?? 0;
    const map = { ...mapOf(this.#newest), position, heardAt };
    const same = sameServices(this.#written, map) && samePosition(this.#written?.position, position);
    if (same && this.#written?.heardAt === heardAt) return;
    try {
      await this.#encodeAll([...map.services.values(), ...map.kept.values()]);
      const bytes = encodeMapFile({ scope: this.#options.scope, ...map }, (service) => this.#encode(service));
      await replaceFile(join(this.#options.folder, FILE), bytes);
      this.#written = map;
      if (this.#failing) this.#options.log.info("The map is saved again");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.log.error("Cannot save the map: trying again", { reason: error });
      this.#failing = true;
    }
  }

  async #encodeAll(services: readonly Service[]): Promise<void> {
    let begun = performance.now();
    for (const service of services) {
      this.#encode(service);
      if (performance.now() - begun < STRETCH_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      begun = performance.now();
    }
  }

  /** Services that have not changed are the same objects from snapshot to snapshot. */
  #encode(service: Service): Uint8Array {
    const known = this.#encoded.get(service);
    if (known) return known;
    const bytes = toBinary(ServiceSchema, service);
    this.#encoded.set(service, bytes);
    return bytes;
  }

  #asked(services: MapFile["services"]): MapFile["services"] {
    const names = this.#options.scope.services;
    return names.length === 0 ? services : new Map([...services].filter(([name]) => names.includes(name)));
  }

  async #setAside(reason: string): Promise<LoadedMap> {
    const { folder, log } = this.#options;
    const aside = `${FILE}.damaged`;
    log.error("The saved map is not used", { reason, aside });
    await Deno.rename(join(folder, FILE), join(folder, aside)).catch((error) =>
      log.error("Cannot set the saved map aside", { reason: error })
    );
    return { kind: "damaged", reason };
  }
}

type Read = { readonly kind: "none" } | ReturnType<typeof decodeMapFile>;

async function readFile(path: string): Promise<Read> {
  try {
    return decodeMapFile(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "none" };
    return { kind: "damaged", reason: `it cannot be read: ${(error as Error).message}` };
  }
}

/** Why a map of one scope cannot stand for another; one of more services can. */
function unfit(is: MapFile["scope"], asked: MapFile["scope"]): string | undefined {
  if (is.realm !== asked.realm) return `it is of realm "${is.realm}", asked for is "${asked.realm}"`;
  if (is.services.length === 0) return undefined;
  const lacking = asked.services.filter((name) => !is.services.includes(name));
  if (asked.services.length > 0 && lacking.length === 0) return undefined;
  return `it has no more than ${is.services.join(", ")}, asked for is ${
    asked.services.join(", ") || "all of the realm"
  }`;
}

/** The map and what is kept beside it are saved apart: only the map goes by its position. */
function mapOf({ services, apart }: Snapshot): Pick<MapFile, "services" | "kept"> {
  return apart ? { services: apart.map, kept: apart.kept } : { services, kept: NONE };
}

const NONE: MapFile["kept"] = new Map();

/** Whether only a bookmark lies between the two: it leaves the map the same object. */
function sameServices(a: Pick<MapFile, "services" | "kept"> | undefined, b: Pick<MapFile, "services" | "kept">) {
  return a?.services === b.services && (a.kept === b.kept || a.kept.size + b.kept.size === 0);
}
