/** A sender whose requests are WebSockets: each says something every 100 ms, and hears it said back. */
import { isAnswer, TICK_MS } from "./answer.ts";
import { Http1, requestText, statusOf } from "./http1.ts";
import { Cut, cutOutcome, DONE, type Outcome, type Sender } from "./outcome.ts";
import type { Where, Wire } from "./wire.ts";

const UPGRADE = [
  ["Connection", "Upgrade"],
  ["Upgrade", "websocket"],
  ["Sec-WebSocket-Version", "13"],
  ["Sec-WebSocket-Key", btoa("sixteen letters.")],
].map(([name, value]) => `${name}: ${value}\r\n`).join("");

export class WebSocketSender implements Sender {
  readonly #leaving = Promise.withResolvers<void>();
  #isLeaving = false;

  constructor(private readonly where: Where) {}

  async send(id: number, service: string): Promise<Outcome> {
    let isBegun = false;
    try {
      using connection = await Http1.open(this.where);
      const status = statusOf(await connection.head(requestText("GET /ws", service, id, UPGRADE)));
      if (status !== 101) return { outcome: `status:${status}` };
      isBegun = true;
      return await this.#talk(connection.wire, (greeting) => isAnswer(greeting, service, id));
    } catch (error) {
      return cutOutcome(error, { isBegun });
    }
  }

  leave(): void {
    this.#isLeaving = true;
    this.#leaving.resolve();
  }

  [Symbol.dispose](): void {}

  /** Talks until it has to end; then it says so, and the other end has to agree. */
  async #talk(wire: Wire, isRight: (greeting: string) => boolean): Promise<Outcome> {
    const greeting = await hear(wire);
    if (!isRight(greeting)) return { outcome: "wrong_answer", detail: greeting };
    for (let n = 0; !this.#isLeaving; n++) {
      await wire.write(frame(TEXT, `${n}`));
      const heard = await hear(wire);
      if (heard !== `${n}`) return { outcome: "wrong_answer", detail: `"${heard}" to "${n}"` };
      wire.listen();
      await this.#pause();
    }
    await wire.write(frame(CLOSE, ""));
    const [code] = await next(wire);
    return code === CLOSE ? DONE : { outcome: "wrong_answer", detail: `code ${code} to a farewell` };
  }

  async #pause(): Promise<void> {
    let timer;
    await Promise.race([new Promise((resolve) => timer = setTimeout(resolve, TICK_MS)), this.#leaving.promise]);
    clearTimeout(timer);
  }
}

const TEXT = 1;
const CLOSE = 8;
const PING = 9;

/** What comes next; that the other end says goodbye is an end ahead of time. Throws `Cut`. */
async function hear(wire: Wire): Promise<string> {
  for (;;) {
    const [code, text] = await next(wire);
    if (code === TEXT) return text;
    if (code !== PING) throw new Cut("eof", code === CLOSE ? "closed by the other end" : `a frame of code ${code}`);
  }
}

/** The next frame: its code, and its payload, which is short. Throws `Cut`. */
async function next(wire: Wire): Promise<readonly [code: number, payload: string]> {
  while (wire.rest.length < 2) await wire.more();
  const size = 2 + wire.rest.charCodeAt(1);
  while (wire.rest.length < size) await wire.more();
  const [code, payload] = [wire.rest.charCodeAt(0) & 15, wire.rest.slice(2, size)];
  wire.rest = wire.rest.slice(size);
  return [code, payload];
}

/** Of a client: masked, here with zeros, which change nothing. RFC 6455 §5.2. */
function frame(code: number, payload: string): Uint8Array {
  return Buffer.from(String.fromCharCode(128 | code, 128 | payload.length) + "\0\0\0\0" + payload, "latin1");
}
