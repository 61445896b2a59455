/** What HAProxy says of requests and connections that have ended, one after the other. */
import { join } from "node:path";
import { type Log, SILENT } from "../../proto/log.ts";
import { AccessListener } from "../access/access_listener.ts";
import type { Ended } from "../access/ended.ts";
import { ACCESS_SOCKET } from "../config/names.ts";

export class Hearing implements AsyncDisposable {
  /** Lines that could not be read. */
  readonly unreadable: string[] = [];
  readonly #heard: Ended[] = [];
  #listener: AccessListener | undefined;
  #wake = () => {};

  private constructor() {}

  /** Listens in the data folder; everything is told to `also` as well. */
  static async in(folder: string, also: (ended: Ended) => void = () => {}): Promise<Hearing> {
    const hearing = new Hearing();
    const warn: Log["warn"] = (_, fields) => {
      hearing.unreadable.push(String(fields?.["line"]));
      hearing.#wake();
    };
    hearing.#listener = await AccessListener.listen({
      path: join(folder, ACCESS_SOCKET),
      log: { ...SILENT, warn },
      onEnded(ended) {
        also(ended);
        hearing.#heard.push(ended);
        hearing.#wake();
      },
    });
    return hearing;
  }

  /** The next, in the order in which they ended; each is handed out once. Throws once a line could not be read. */
  async next(): Promise<Ended> {
    for (;;) {
      if (this.unreadable.length > 0) throw new Error(`Cannot read "${this.unreadable[0]}"`);
      const ended = this.#heard.shift();
      if (ended) return ended;
      await new Promise<void>((done) => this.#wake = done);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }
}
