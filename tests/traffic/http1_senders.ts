/** Senders of HTTP/1.1: over kept connections, or one for each request. */
import { between, type Chance } from "../faults/seed.ts";
import { isAnswer, streamText } from "./answer.ts";
import { type Answer, Http1, requestText } from "./http1.ts";
import { answerOutcome, Cut, cutOutcome, type Outcome, type Progress, type Sender } from "./outcome.ts";
import type { Where } from "./wire.ts";

/** What is sent, and what answers it. */
type Exchange = (id: number, service: string) => {
  readonly text: string;
  isRight(answer: string): boolean;
};

export function get(path: string): Exchange {
  return (id, service) => ({
    text: requestText(`GET ${path}`, service, id),
    isRight: (answer) => isAnswer(answer, service, id),
  });
}

export function post(chance: Chance): Exchange {
  return (id, service) => {
    const bytes = between(chance, 1, 20_000);
    return {
      text: requestText("POST /", service, id, `Content-Length: ${bytes}\r\n`) + "x".repeat(bytes),
      isRight: (answer) => isAnswer(answer, service, id, bytes),
    };
  };
}

export function stream(ms: number): Exchange {
  return (id, service) => ({
    text: requestText(`GET /stream?ms=${ms}`, service, id),
    isRight(answer) {
      const end = answer.indexOf("\n");
      return isAnswer(answer.slice(0, end), service, id) && answer.slice(end + 1) === streamText(ms);
    },
  });
}

export interface Http1Options {
  readonly where: Where;
  readonly exchange: Exchange;
  /** Connections are kept. */
  readonly keep: boolean;
  /** Answers go on for so long that nobody waits for their ends. */
  readonly isLong?: boolean;
}

export class Http1Sender implements Sender {
  #connection: Http1 | undefined;
  #isLeaving = false;

  constructor(private readonly options: Http1Options) {}

  async send(id: number, service: string): Promise<Outcome> {
    const { text, isRight } = this.options.exchange(id, service);
    let progress: Progress = {};
    try {
      const connection = await this.#open();
      try {
        const { status, body }: Answer = await connection.ask(text);
        if (this.options.keep && connection.isUsable) connection.rest();
        else this[Symbol.dispose]();
        return answerOutcome(status, body, isRight(body));
      } catch (error) {
        progress = connection.progress;
        this[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      return cutOutcome(error, progress);
    }
  }

  leave(): void {
    if (!this.options.isLong) return;
    this.#isLeaving = true;
    this.#connection?.wire.cut(new Cut("left"));
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }

  /** The kept connection; another one where the server has closed that meanwhile. */
  async #open(): Promise<Http1> {
    if (this.#connection && !this.#connection.isUsable) this[Symbol.dispose]();
    this.#connection ??= await Http1.open(this.options.where);
    if (this.#isLeaving) throw new Cut("left");
    return this.#connection;
  }
}
