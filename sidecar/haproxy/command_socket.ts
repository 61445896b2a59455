/** A HAProxy process's command socket, asked in lines. */
import { phrase, type Text } from "../config/text.ts";

/** HAProxy reads a command into a buffer of 16 KB and drops, without a word, what does not fit. */
export const MAX_COMMAND_BYTES = 15_000;

/** A process that has not answered everything by then is not going to. */
const PATIENCE_MS = 5_000;

const PROMPT = "\n> ";

/** What is asked without a prompt: of a master, which has others, and where the answer is long. */
export type LoneCommand = "show proc" | "reload" | `@!${number} show ${"info" | "sess"}` | "show stat -1 7 -1";

/** One connection, in HAProxy's interactive mode, in which every answer ends with a prompt. */
export class CommandSocket implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(65_536);
  readonly #late: ReturnType<typeof setTimeout>;
  #received = "";
  #greeted = false;
  #closed = false;

  private constructor(connection: Deno.Conn, withinMs = PATIENCE_MS) {
    this.#connection = connection;
    this.#late = setTimeout(() => this[Symbol.dispose](), withinMs);
  }

  /** Connects; throws while nobody listens at `path`. That HAProxy has taken the connection is known with the first answer. */
  static async open(path: string): Promise<CommandSocket> {
    const socket = new CommandSocket(await Deno.connect({ transport: "unix", path }));
    try {
      await socket.#write("prompt\n");
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends one command to a master, whose prompts are others, and reads until it closes. */
  static async once(path: string, command: LoneCommand, withinMs = PATIENCE_MS): Promise<string> {
    using socket = new CommandSocket(await Deno.connect({ transport: "unix", path }), withinMs);
    await socket.#write(`${command}\nquit\n`);
    while (await socket.#receive());
    return socket.#received;
  }

  /** Resolves once HAProxy has taken the connection. */
  async greeted(): Promise<void> {
    if (!this.#greeted) await this.#answer();
    this.#greeted = true;
  }

  /** Sends one command, and rows below it for those that take some; the answer comes without its line ends. */
  ask(command: Text, rows?: Text): Promise<string> {
    return this.#ask(rows ? phrase`${command} <<\n${rows}`.text : command.text);
  }

  /** Sends many commands at once; their answers come in the same order. */
  async askAll(commands: readonly Text[]): Promise<readonly string[]> {
    const answers: string[] = [];
    // Written while answers are read: a worker that cannot answer takes no more commands.
    const [written] = await Promise.allSettled([
      this.#write(commands.map(({ text }) => `${text}\n`).join("")),
      (async () => {
        for (let at = 0; at < commands.length; at++) answers.push(await this.#read());
      })(),
    ]);
    if (written.status === "rejected") throw written.reason;
    if (answers.length < commands.length) throw new Error("Cannot talk to HAProxy: it closed the connection");
    return answers;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#late);
    if (!this.#closed) this.#connection.close();
    this.#closed = true;
  }

  async #ask(command: string): Promise<string> {
    await this.#write(`${command}\n`);
    return await this.#read();
  }

  async #write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  async #read(): Promise<string> {
    await this.greeted();
    return await this.#answer();
  }

  async #answer(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf(PROMPT);
      if (end >= 0) {
        const answer = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + PROMPT.length);
        return answer.trim();
      }
      if (!await this.#receive()) throw new Error("Cannot talk to HAProxy: it closed the connection");
    }
  }

  /** Reads some more; answers whether there was any. */
  async #receive(): Promise<boolean> {
    const count = await this.#connection.read(this.#buffer);
    if (count !== null) this.#received += this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true });
    return count !== null;
  }
}
