/** The sidecar's data folder: HAProxy's files, whole or not at all, and the sockets beside them. */
import { join, resolve } from "node:path";
import { errorFile, errorFileName, PROXY_ANSWERS } from "../config/answers.ts";
import { CONFIG_FILE, MASTER_SOCKET, ROUTES_FILE, workerSocket } from "../config/print_egress.ts";
import type { Files } from "../config/print.ts";

/** HAProxy refuses the candidate: nothing has been replaced. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Unix domain sockets take paths of up to 107 bytes on Linux, 103 elsewhere. */
const MAX_SOCKET_PATH = 103;

export class DataFolder implements Disposable {
  /** Absolute. */
  readonly path: string;
  readonly #lock: Deno.FsFile;
  #installed: Files | undefined;

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
    for (const answer of PROXY_ANSWERS) data.#replace(errorFileName(answer), errorFile(answer));
    return data;
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
    this.#replace(candidate, config.text);
    // The map file is part of the question only by being there.
    if (!this.#installed) this.#replace(ROUTES_FILE, "");
    const args = ["-c", "-f", candidate];
    const { success, signal, stderr } = await new Deno.Command("haproxy", { args, cwd: this.path, stdin: "null" })
      .output();
    if (signal) throw new Error(`Cannot check the configuration: haproxy -c ended by ${signal}`);
    if (!success) throw new Refused(`haproxy -c refuses the configuration: ${new TextDecoder().decode(stderr).trim()}`);
    await Deno.remove(join(this.path, candidate));
  }

  /** What is in place; nothing before the first `install`. */
  get installed(): Files | undefined {
    return this.#installed;
  }

  /** Puts the files in place, those that differ. Backends first: rows never lead to one that is not in the file. */
  install({ config, routes }: Files): void {
    const before = this.#installed;
    // Not known until all of it is done.
    this.#installed = undefined;
    if (config.text !== before?.config.text) this.#replace(CONFIG_FILE, config.text);
    if (routes.text !== before?.routes.text) this.#replace(ROUTES_FILE, routes.text);
    this.#installed = { config, routes };
  }

  /** Removes what HAProxy leaves behind when it has ended, or only sockets of workers but the one of `keep`. */
  async removeSockets(keep?: number): Promise<void> {
    const kept = keep === undefined ? undefined : workerSocket(keep);
    const leftover = keep === undefined ? /\.sock(?:\.[0-9]+\.(?:tmp|bak))?$/ : /^worker-[0-9]+\.sock$/;
    for await (const { name } of Deno.readDir(this.path)) {
      if (leftover.test(name) && name !== kept) await Deno.remove(join(this.path, name)).catch(ignoreMissing);
    }
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  /**
   * On disk before it is in place: after a crash the file is the old one or the new one. Synchronous, as a change is
   * routed only after it, and each hop to a thread and back costs as much as the write itself.
   */
  #replace(name: string, text: string): void {
    const path = join(this.path, name);
    const file = Deno.openSync(`${path}.new`, { create: true, write: true, truncate: true, mode: 0o600 });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      file.syncDataSync();
    } finally {
      file.close();
    }
    Deno.renameSync(`${path}.new`, path);
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
