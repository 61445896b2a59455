/** The sidecar's data folder: HAProxy's files, whole or not at all, and the sockets beside them. */
import { join, resolve } from "node:path";
import { errorFile, errorFileName, PROXY_ANSWERS } from "../config/answers.ts";
import { CONFIG_FILE, MASTER_SOCKET, ROUTES_FILE, workerSocket } from "../config/names.ts";
import type { Files } from "../config/print.ts";
import { later, seal, unseal } from "../config/seal.ts";
import { removeFile } from "../disk.ts";
import { failPoint } from "./fail_point.ts";

/** HAProxy refuses the candidate: nothing has been replaced. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Unix domain sockets take paths of up to 107 bytes on Linux, 103 elsewhere. */
const MAX_SOCKET_PATH = 103;

/** What the files say that HAProxy starts from, as they are in place. */
export interface Installed {
  readonly config: string;
  readonly routes: string;
  /** Of the map that they say: `epoch.revision`, or `none`. */
  readonly position: string;
}

const STARTING = "starting";

/** A map file that belongs to a configuration which is not in place yet. */
const NEXT_ROUTES = `${ROUTES_FILE}.next`;

export class DataFolder implements Disposable {
  /** Absolute. */
  readonly path: string;
  readonly #lock: Deno.FsFile;
  #installed: Installed | undefined;
  /** Files that may not be on disk yet. */
  readonly #unsynced = new Set<string>();

  private constructor(path: string, lock: Deno.FsFile) {
    this.path = path;
    this.#lock = lock;
  }

  /** Makes the folder if need be, and holds it: two sidecars in one folder would stop each other's HAProxy. */
  static async open(folder: string): Promise<DataFolder> {
    const path = resolve(folder);
    const longest = join(path, workerSocket(99_999));
    if (new TextEncoder().encode(longest).length > MAX_SOCKET_PATH) {
      throw new Error(
        `Cannot use data folder "${path}": sockets in it would have paths of more than ${MAX_SOCKET_PATH} bytes, choose a shorter one`,
      );
    }
    await Deno.mkdir(join(path, "errors"), { recursive: true, mode: 0o700 });
    const lock = await Deno.open(join(path, "lock"), { create: true, write: true });
    if (!await lock.tryLock(true)) {
      lock.close();
      throw new Error(`Cannot use data folder "${path}": another sidecar is using it`);
    }
    const data = new DataFolder(path, lock);
    try {
      data.#mend();
      for (const answer of PROXY_ANSWERS) data.#keep(errorFileName(answer), errorFile(answer));
      data.#installed = data.readInstalled();
      return data;
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  get masterSocket(): string {
    return join(this.path, MASTER_SOCKET);
  }

  workerSocket(generation: number): string {
    return join(this.path, workerSocket(generation));
  }

  /** Asks HAProxy whether it would run with `config`. Throws `Refused` with what it says. */
  async check(config: Files["config"]): Promise<void> {
    const candidate = "candidate.cfg";
    Deno.writeTextFileSync(join(this.path, candidate), config.text, { mode: 0o600 });
    // The map file is part of the question only by being there: one that is in place is left as it is.
    const missing = !this.#is(ROUTES_FILE);
    if (missing) Deno.writeTextFileSync(join(this.path, ROUTES_FILE), "", { createNew: true, mode: 0o600 });
    try {
      await this.#check(candidate);
    } finally {
      if (missing) this.#remove(ROUTES_FILE);
    }
    this.#remove(candidate);
  }

  /** Asks HAProxy whether it would run with what is in place. Throws `Refused` with what it says. */
  checkInstalled(): Promise<void> {
    return this.#check(CONFIG_FILE);
  }

  /** Reads what is in place; `undefined` if that is not both files, each whole. */
  readInstalled(): Installed | undefined {
    const [config, routes] = [CONFIG_FILE, ROUTES_FILE].map((name) => unseal(this.#read(name) ?? ""));
    if (!config || !routes) return undefined;
    // A file that a change left as it was is of an older map.
    return { config: config.body, routes: routes.body, position: later(config.position, routes.position) };
  }

  /** What is in place, and was at the start; `undefined` while that is not known for sure. */
  get installed(): Installed | undefined {
    return this.#installed;
  }

  /**
   * Puts the files in place, those that differ; whoever reads them later finds both as they were, or both new, also if
   * this program is killed now. A machine that loses its power before `sync` may be left with a file that is not whole,
   * and knows it by the checksum. Answers with the way back.
   */
  install({ config, routes, position }: Files): () => void {
    const before = this.#installed;
    this.#put({ config: config.text, routes: routes.text, position });
    return () => {
      if (before) this.#put(before);
    };
  }

  /** Resolves when all that is in place is on disk. */
  async sync(): Promise<void> {
    if (this.#unsynced.size === 0) return;
    const names = [...this.#unsynced];
    this.#unsynced.clear();
    try {
      // The names are on disk only with the folder.
      for (const name of [...names, "."]) {
        using file = await Deno.open(join(this.path, name));
        await file.sync();
      }
    } catch (error) {
      for (const name of names) this.#unsynced.add(name);
      throw error;
    }
    failPoint("files on disk");
  }

  /** Remembers, beyond the end of this program, that a HAProxy is being started which does not listen yet. */
  set isStarting(starting: boolean) {
    if (starting) Deno.writeTextFileSync(join(this.path, STARTING), "");
    else this.#remove(STARTING);
  }

  get isStarting(): boolean {
    return this.#is(STARTING);
  }

  /** Generations whose workers have a socket here, dead or alive. */
  async workerSockets(): Promise<readonly number[]> {
    const found: number[] = [];
    for await (const { name } of Deno.readDir(this.path)) {
      const generation = /^worker-([0-9]+)\.sock$/.exec(name)?.[1];
      if (generation !== undefined) found.push(Number(generation));
    }
    return found;
  }

  /** Removes what HAProxy leaves behind when it has ended, or only sockets of workers but the one of `keep`. */
  async removeSockets(keep?: number): Promise<void> {
    const kept = keep === undefined ? undefined : workerSocket(keep);
    const leftover = keep === undefined ? OF_HAPROXY : /^worker-[0-9]+\.sock$/;
    for await (const { name } of Deno.readDir(this.path)) {
      if (leftover.test(name) && name !== kept) await removeFile(join(this.path, name));
    }
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  async #check(file: string): Promise<void> {
    const args = ["-c", "-f", file];
    const { success, signal, stderr } = await new Deno.Command("haproxy", { args, cwd: this.path, stdin: "null" })
      .output();
    if (signal) throw new Error(`Cannot check the configuration: haproxy -c ended by ${signal}`);
    if (!success) throw new Refused(`haproxy -c refuses the configuration: ${new TextDecoder().decode(stderr).trim()}`);
  }

  /**
   * A row that leads to a backend which is not in the other file would be a call refused, so where both files change
   * they change as one: that the configuration is in place is what makes the map file beside it valid.
   */
  #put(next: Installed): void {
    const before = this.#installed;
    // Not known until all of it is done.
    this.#installed = undefined;
    const { position } = next;
    const config = next.config === before?.config ? undefined : seal({ body: next.config, position });
    const routes = next.routes === before?.routes ? undefined : seal({ body: next.routes, position });
    if (config !== undefined && routes !== undefined) {
      this.#write(CONFIG_FILE, config);
      this.#write(ROUTES_FILE, routes);
      this.#rename(`${ROUTES_FILE}.new`, NEXT_ROUTES);
      this.#rename(`${CONFIG_FILE}.new`, CONFIG_FILE);
      this.#rename(NEXT_ROUTES, ROUTES_FILE);
    } else if (config !== undefined) {
      this.#replace(CONFIG_FILE, config);
    } else if (routes !== undefined) {
      this.#replace(ROUTES_FILE, routes);
    }
    this.#installed = next;
  }

  /** Brings a change that was cut short to its end, or back. */
  #mend(): void {
    const valid = this.#is(NEXT_ROUTES) && !this.#is(`${CONFIG_FILE}.new`);
    if (valid) Deno.renameSync(join(this.path, NEXT_ROUTES), join(this.path, ROUTES_FILE));
    // The configuration that is not in place last: while it is there, a map file beside it is known not to be valid.
    for (const name of [NEXT_ROUTES, `${ROUTES_FILE}.new`, `${CONFIG_FILE}.new`]) this.#remove(name);
  }

  /** Whoever reads it finds the old file or the new one. */
  #replace(name: string, text: string): void {
    this.#write(name, text);
    this.#rename(`${name}.new`, name);
  }

  /** Leaves a file that says so already. */
  #keep(name: string, text: string): void {
    if (this.#read(name) !== text) this.#replace(name, text);
  }

  /**
   * Beside its place. Synchronous, as a change is routed only after it, and each hop to a thread and back costs as much
   * as the write itself.
   */
  #write(name: string, text: string): void {
    const file = Deno.openSync(join(this.path, `${name}.new`), {
      create: true,
      write: true,
      truncate: true,
      mode: 0o600,
    });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    } finally {
      file.close();
    }
    this.#unsynced.add(name);
    failPoint(`${name} written`);
  }

  #rename(from: string, to: string): void {
    Deno.renameSync(join(this.path, from), join(this.path, to));
    failPoint(`${from} renamed to ${to}`);
  }

  #read(name: string): string | undefined {
    return unlessMissing(() => Deno.readTextFileSync(join(this.path, name)));
  }

  #is(name: string): boolean {
    return unlessMissing(() => Deno.statSync(join(this.path, name))) !== undefined;
  }

  #remove(name: string): void {
    unlessMissing(() => Deno.removeSync(join(this.path, name)));
  }
}

/** HAProxy's sockets, and what it calls them while it makes them. */
const OF_HAPROXY = /^(?:master|relay|stopper|worker-[0-9]+)\.sock(?:\.[0-9]+\.(?:tmp|bak))?$/;

function unlessMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
