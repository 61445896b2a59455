/** Senders of HTTP/2 that share a connection. */
import { isAnswer } from "./answer.ts";
import { Http2 } from "./http2.ts";
import { answerOutcome, cutOutcome, type Outcome, type Sender } from "./outcome.ts";
import type { Where } from "./wire.ts";

/** The connection that is used at the moment; those before it end with their last answers. */
export class SharedHttp2 implements Disposable {
  #opening: Promise<Http2> | undefined;
  #newest: Http2 | undefined;

  constructor(private readonly where: Where) {}

  /** Throws `Cut`. */
  async connection(): Promise<Http2> {
    if (this.#newest?.isUsable) return this.#newest;
    this.#opening ??= Http2.open(this.where).finally(() => this.#opening = undefined);
    return this.#newest = await this.#opening;
  }

  [Symbol.dispose](): void {
    this.#newest?.[Symbol.dispose]();
  }
}

/** Who is turned away so often is not going to be let in. */
const MOST_TRIES = 10;

export class Http2Sender implements Sender {
  constructor(private readonly shared: SharedHttp2) {}

  async send(id: number, service: string): Promise<Outcome> {
    const headers = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "127.0.0.1"],
      ["portolan-service", service],
      ["x-request", `${id}`],
    ] as const;
    try {
      for (let resent = 0; resent < MOST_TRIES; resent++) {
        const answer = await (await this.shared.connection()).ask(headers);
        if (answer === "again") continue;
        const { status, body, cut } = answer;
        const outcome = cut
          ? cutOutcome(cut, { isBegun: status !== 0 })
          : answerOutcome(status, body, isAnswer(body, service, id));
        return { ...outcome, resent };
      }
      return { outcome: "refused_stream", resent: MOST_TRIES };
    } catch (error) {
      return cutOutcome(error);
    }
  }

  [Symbol.dispose](): void {
    this.shared[Symbol.dispose]();
  }
}
