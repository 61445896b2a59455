/**
 * A program of this room in a process of its own, which nobody's work holds up but its own. It is told by lines of
 * JSON, answers in lines of JSON, and ends when its parent does.
 */
import { fileURLToPath } from "node:url";

/** What can be asked of a program, by name; each takes one argument. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

interface Question {
  readonly number: number;
  readonly command: string;
  readonly argument: unknown;
}

interface Reply {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

export class Child<C extends Commands> implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  /** By the numbers of their questions. */
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #read: Promise<unknown>;
  #asked = 0;
  #said = "";
  #over = false;

  /** Starts a file of this folder. */
  constructor(private readonly file: string) {
    const path = fileURLToPath(new URL(file, import.meta.url));
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--cached-only", "--frozen", "-P=test", path],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#read = Promise.all([this.#answers(), this.#errors()]).then(() => this.#end());
  }

  /** Rejects with what the command threw, or with what a program that ended said last. */
  async ask<K extends keyof C & string>(
    command: K,
    argument: Parameters<C[K]>[0],
  ): Promise<Awaited<ReturnType<C[K]>>> {
    if (this.#over) throw this.#gone();
    const waiting = Promise.withResolvers<unknown>();
    const question: Question = { number: this.#asked++, command, argument };
    this.#waiting.set(question.number, waiting);
    // One that has ended is noticed by its output, which ends too.
    this.#input.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`)).catch(() => {});
    return await waiting.promise as Awaited<ReturnType<C[K]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await Promise.all([this.#process.status, this.#read]);
  }

  async #answers(): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      const { number, value, error }: Reply = JSON.parse(line);
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    }
  }

  async #errors(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#said = (this.#said + text).slice(-2_000);
    }
  }

  #end(): void {
    this.#over = true;
    for (const { reject } of this.#waiting.values()) reject(this.#gone());
  }

  #gone(): Error {
    return new Error(`Cannot ask ${this.file}: it ended after "${this.#said}"`);
  }
}

/** Answers the parent's questions, each as soon as it can be, until it is gone; then this process ends. */
export async function serve(commands: Commands): Promise<never> {
  let writing = Promise.resolve();
  for await (const line of linesOf(Deno.stdin.readable)) {
    replyTo(JSON.parse(line), commands).then((reply) => {
      writing = writing.then(() => writeLine(JSON.stringify(reply)));
    });
  }
  Deno.exit(0);
}

async function replyTo({ number, command, argument }: Question, commands: Commands): Promise<Reply> {
  try {
    return { number, value: await commands[command]?.(argument as never) };
  } catch (error) {
    return { number, error: (error as Error).message };
  }
}

async function writeLine(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

/** A ledger is one line of many megabytes: its parts are put together once. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let parts: string[] = [];
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const [first = "", ...more] = text.split("\n");
    parts.push(first);
    for (const next of more) {
      yield parts.join("");
      parts = [next];
    }
  }
}
