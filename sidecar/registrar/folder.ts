/** The services folder: what is in its files, and when to look again. */
import { join } from "node:path";
import type { Log } from "../../proto/log.ts";
import { type Found } from "./roll.ts";
import { MOST_BYTES, SUFFIX } from "./service_file.ts";

/** What is found of a folder: its files, by name, or why it cannot be read. */
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

/** To be disposed; it listens to changes from the first `watch` on. */
export class ServicesFolder implements Disposable {
  readonly #options: FolderOptions;
  #watcher: Deno.FsWatcher | undefined;
  /** As last found since it is watched. */
  #contents: Contents | undefined;
  /** Something, since the last look at what is in it. */
  #hasHeard = false;
  /** Something was found of which nothing was told: it may be another folder that has the path. */
  #isDeaf = false;
  #isBlind = false;

  constructor(options: FolderOptions) {
    this.#options = options;
  }

  /**
   * What is in it, once two reads in a row say the same: a file that is half written, or gone and back while an editor
   * replaces it, is not taken for what it is to be.
   */
  async settled(): Promise<Contents> {
    const hadHeard = this.#hasHeard;
    this.#hasHeard = false;
    let [before, now] = [await this.#read(), await this.#readLater()];
    for (let reads = 2; reads < MOST_READS && !sameContents(before, now); reads++) {
      [before, now] = [now, await this.#readLater()];
    }
    const hasChanged = this.#contents !== undefined && !sameContents(this.#contents, now);
    this.#isDeaf = hasChanged && !hadHeard && !this.#hasHeard;
    return this.#contents = now;
  }

  /**
   * Sees to it that changes are heard of, as far as they can be: the folder may not be there yet, or another one may have
   * its path now. To be called before each look at it, every few seconds.
   */
  watch(): void {
    if (this.#watcher) {
      if (!this.#isDeaf) return;
      this.#forget();
      // The next time: who listens again before this has ended hears nothing.
      return;
    }
    try {
      this.#watcher = Deno.watchFs(this.#options.path, { recursive: false });
      this.#contents = undefined;
      this.#isDeaf = this.#isBlind = false;
      this.#hear(this.#watcher).catch((error) => this.#blind(error));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#blind(error);
    }
  }

  [Symbol.dispose](): void {
    this.#forget();
  }

  async #hear(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind } of watcher) {
      // Our own reads.
      if (kind === "access") continue;
      this.#hasHeard = true;
      this.#options.onChange();
    }
  }

  #blind(reason: unknown): void {
    if (this.#isBlind) return;
    this.#isBlind = true;
    this.#options.log.warn("Cannot watch the services folder: looking every few seconds", { reason });
  }

  #forget(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  async #readLater(): Promise<Contents> {
    await new Promise((done) => setTimeout(done, SETTLE_MS));
    return await this.#read();
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
