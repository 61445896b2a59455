/** Looks for what was written: asks through a HAProxy, on and on, from the moment of the write. */
import { Connection, request } from "./connection.ts";

const WITHIN_MS = 10_000;

export class Looker implements Disposable {
  readonly #port: number;
  #connection: Connection | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * Asks for `service` on one kept connection, or the next where HAProxy has ended it, until the answer comes from the
   * instance at `from`; resolves with the time of that answer. Nobody has to know the service before if it `isNew`.
   */
  async look(service: string, from: number, isNew = false): Promise<number> {
    const get = request("GET", "/", "", { "portolan-service": service });
    const begun = performance.now();
    for (;;) {
      const { status, body } = await this.#ask(get);
      const now = performance.now();
      if (status === 200 && body === `${from}`) return now;
      const expected = status === 200 || (isNew && status === 404);
      if (expected && now - begun < WITHIN_MS) continue;
      throw new Error(
        `Cannot reach ${service} at port ${from}: after ${Math.round(now - begun)} ms ${status} "${body}"`,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }

  async #ask(bytes: Uint8Array) {
    const connection = this.#connection ??= await Connection.open(this.#port);
    const answer = await connection.ask(bytes);
    if (answer.closes) this[Symbol.dispose]();
    return answer;
  }
}
