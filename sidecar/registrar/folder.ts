/** The services folder: what is in its files, and when to look again. */
import { join, resolve } from "node:path";
import type { Log } from "../../proto/log.ts";
import { type Found } from "./roll.ts";
import { MOST_BYTES, SUFFIX } from "./service_file.ts";

export type Contents =
  | { readonly kind: "files"; readonly files: ReadonlyMap<string, Found> }
  | { readonly kind: "unreadable"; readonly reason: string };

export interface FolderOptions {
  readonly path: string;
  /** Something in it has changed, as far as the system tells. */
  readonly onChange: () => void;
  readonly log: Log;
}

/** Between two reads that have to agree, in ms. */
const SETTLE_MS = 50;
/** What never settles is taken as it is. */
const MOST_READS = 20;

export class ServicesFolder implements Disposable {
  readonly #options: FolderOptions;
  #watched: { readonly id: string; readonly watcher: Deno.FsWatcher } | undefined;
  #isBlind = false;

  constructor(options: FolderOptions) {
    this.#options = options;
  }

  /**
   * What is in it, once two reads in a row say the same: a file that is half written, or gone and back while an editor
   * replaces it, is not taken for what it is to be.
   */
  async settled(): Promise<Contents> {
    let before = await this.#read();
    for (let reads = 1; reads < MOST_READS; reads++) {
      await new Promise((done) => setTimeout(done, SETTLE_MS));
      const now = await this.#read();
      if (sameContents(before, now)) return now;
      before = now;
    }
    return before;
  }

  /** Sees to it that changes are heard of in the folder that has the path now: it may be another one, or back. */
  async watch(): Promise<void> {
    const { path } = this.#options;
    const id = await Deno.stat(path).then(({ dev, ino }) => `${dev}:${ino}`, () => undefined);
    if (this.#watched?.id === id) return;
    this.#forget();
    if (id === undefined) return;
    try {
      const watcher = Deno.watchFs(path, { recursive: false });
      this.#watched = { id, watcher };
      this.#isBlind = false;
      this.#hear(watcher).catch((error) => this.#blind(error));
    } catch (error) {
      this.#blind(error);
    }
  }

  [Symbol.dispose](): void {
    this.#forget();
  }

  async #hear(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind, paths } of watcher) {
      // Our own reads.
      if (kind === "access") continue;
      // The next folder of this path may look like the one that has gone.
      if (kind === "remove" && paths.some((path) => resolve(path) === resolve(this.#options.path))) {
        this.#forget(watcher);
      }
      this.#options.onChange();
    }
  }

  #blind(reason: unknown): void {
    if (this.#isBlind) return;
    this.#isBlind = true;
    this.#options.log.warn("Cannot watch the services folder: looking every few seconds", { reason });
  }

  #forget(watcher = this.#watched?.watcher): void {
    if (!this.#watched || this.#watched.watcher !== watcher) return;
    this.#watched = undefined;
    watcher.close();
  }

  async #read(): Promise<Contents> {
    const { path } = this.#options;
    try {
      const names: string[] = [];
      for await (const { name } of Deno.readDir(path)) {
        if (!name.startsWith(".") && name.endsWith(SUFFIX)) names.push(name);
      }
      const found = await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const));
      return { kind: "files", files: new Map(found.flatMap(([name, one]) => one ? [[name, one]] : [])) };
    } catch (error) {
      return { kind: "unreadable", reason: `the folder cannot be read: ${(error as Error).message}` };
    }
  }
}

/** `undefined`: it is gone. */
async function readFile(path: string): Promise<Found | undefined> {
  try {
    const { isFile, size } = await Deno.stat(path);
    // To open a pipe would be to wait for who writes into it.
    if (!isFile) return unreadable("expected a file; move it elsewhere");
    if (size > MOST_BYTES) return unreadable(`expected at most ${MOST_BYTES} bytes, not ${size}`);
    return { kind: "bytes", bytes: await Deno.readFile(path) };
  } catch (error) {
    const isThere = await Deno.lstat(path).then(() => true, () => false);
    return isThere ? unreadable(`it cannot be read: ${(error as Error).message}`) : undefined;
  }
}

function unreadable(reason: string): Found {
  return { kind: "unreadable", reason };
}

function sameContents(a: Contents, b: Contents): boolean {
  if (a.kind === "unreadable" || b.kind === "unreadable") return a.kind === b.kind;
  return a.files.size === b.files.size && [...a.files].every(([name, found]) => sameFound(found, b.files.get(name)));
}

function sameFound(a: Found, b: Found | undefined): boolean {
  if (a.kind === "unreadable" || b?.kind !== "bytes") return a.kind === b?.kind;
  return a.bytes.length === b.bytes.length && a.bytes.every((byte, at) => byte === b.bytes[at]);
}
