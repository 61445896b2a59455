/**
 * What this host has on the map, on disk: under which lease, and what was said of it. The next sidecar goes on with that,
 * and takes off what no file says any more.
 */
import { join } from "node:path";
import type { Log } from "../../proto/log.ts";
import { removeFile, replaceFile } from "../disk.ts";
import type { CheckStatus } from "./check.ts";
import { type Entry, keyOf } from "./roll.ts";
import { decodeServiceFile } from "./service_file.ts";

/** One instance that is on the map, or may be. */
export interface Note {
  /** The good form of its file that it has been given last. */
  readonly entry: Entry;
  /** The text of the spec that the map has; `undefined` while that is not known. */
  readonly said?: string | undefined;
  readonly status?: CheckStatus;
  /** No file says it any more. */
  readonly isLeaving?: boolean;
}

export interface LedgerOptions {
  /** The data folder. */
  readonly folder: string;
  readonly realm: string;
  readonly log: Log;
}

const FILE = "lease.json";
/** Raised whenever what is in it changes: files of another one are not read. */
const FORMAT = 1;

/** What is noted is on disk after the next `save`. That it cannot be written is logged; nothing here throws for it. */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #notes = new Map<string, Note>();
  #leaseId: string | undefined;
  #saving: Promise<void> | undefined;
  #isStale = false;
  #isFailing = false;

  private constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Reads what the sidecar before left. What cannot be used of that is logged: it runs out by itself. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options);
    try {
      ledger.#read(await Deno.readTextFile(join(options.folder, FILE)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return ledger;
      options.log.warn("Cannot go on with the lease of the sidecar before: registering anew", { reason: error });
    }
    return ledger;
  }

  /** The lease that holds what is noted. */
  get leaseId(): string | undefined {
    return this.#leaseId;
  }

  set leaseId(id: string) {
    if (id === this.#leaseId) return;
    this.#leaseId = id;
    // Not waited for: who is killed before it is on disk registers anew, which moves the instances to another lease.
    void this.save();
  }

  /** By `SERVICE/ID`. */
  get notes(): ReadonlyMap<string, Note> {
    return this.#notes;
  }

  /** Replaces parts of a note. */
  note(entry: Entry, parts: Omit<Note, "entry"> = {}): void {
    const key = keyOf(entry.file);
    this.#notes.set(key, { ...this.#notes.get(key), ...parts, entry });
  }

  strike(key: string): void {
    this.#notes.delete(key);
  }

  /** Resolves once what is noted now is on disk, or could not be written. */
  save(): Promise<void> {
    this.#isStale = true;
    return this.#saving ??= this.#saveAll().finally(() => this.#saving = undefined);
  }

  async #saveAll(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      try {
        await this.#write();
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) this.#options.log.error("Cannot save what this host has on the map", { reason: error });
        this.#isFailing = true;
      }
    }
  }

  async #write(): Promise<void> {
    const path = join(this.#options.folder, FILE);
    if (this.#notes.size === 0) return await removeFile(path);
    const instances = [...this.#notes.values()].map(({ entry: { name, text }, ...rest }) => ({ name, text, ...rest }));
    const content = { format: FORMAT, realm: this.#options.realm, leaseId: this.#leaseId, instances };
    await replaceFile(path, new TextEncoder().encode(JSON.stringify(content)));
  }

  #read(text: string): void {
    const { format, realm, leaseId, instances } = JSON.parse(text) as Partial<Record<string, unknown>>;
    if (format !== FORMAT) throw new Error(`it is of format ${format}, expected ${FORMAT}`);
    if (realm !== this.#options.realm) throw new Error(`it is of realm "${realm}"`);
    if (typeof leaseId === "string") this.#leaseId = leaseId;
    for (const instance of Array.isArray(instances) ? instances : []) {
      const note = noteOf(instance);
      if (note) this.#notes.set(keyOf(note.entry.file), note);
    }
  }
}

function noteOf(value: unknown): Note | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, text, said, status, isLeaving }: Partial<Record<string, unknown>> = { ...value };
  if (typeof name !== "string" || typeof text !== "string") return undefined;
  const decoded = decodeServiceFile(name, new TextEncoder().encode(text));
  if (decoded.kind === "bad") return undefined;
  return {
    entry: { name, text, file: decoded.file },
    ...(typeof said === "string" && { said }),
    ...((status === "passing" || status === "failing") && { status }),
    ...(isLeaving === true && { isLeaving: true }),
  };
}
