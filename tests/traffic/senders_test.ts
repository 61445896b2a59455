import assert from "node:assert/strict";
import { answerText } from "./answer.ts";
import { get, Http1Sender, post, stream } from "./http1_senders.ts";
import { Http2Sender, SharedHttp2 } from "./http2_sender.ts";
import type { Outcome, Sender } from "./outcome.ts";
import { Chance } from "../faults/seed.ts";
import { WebSocketSender } from "./websocket_sender.ts";
import { Watchdog, type Where } from "./wire.ts";

/** What a server does with one connection; it is closed after that. */
type Script = (connection: Served) => Promise<unknown>;

class Served {
  readonly #buffer = new Uint8Array(65_536);

  constructor(private readonly connection: Deno.TcpConn) {}

  /** Waits for some bytes, or for the end. */
  async hear(): Promise<string> {
    const count = await this.connection.read(this.#buffer);
    return Buffer.from(this.#buffer.subarray(0, count ?? 0)).toString("latin1");
  }

  async say(text: string): Promise<void> {
    await this.connection.write(Buffer.from(text, "latin1"));
  }
}

/** Runs against a server whose nth connection is served by the nth script. */
async function against(
  scripts: readonly Script[],
  make: (where: Where) => Sender,
  { requests = 1, timeoutMs = 10_000 } = {},
) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using watchdog = new Watchdog();
  const serving = (async () => {
    for (const script of scripts) {
      using connection = await listener.accept();
      await script(new Served(connection));
    }
  })();
  using sender = make({ port: listener.addr.port, timeoutMs, watchdog });
  const outcomes: Outcome[] = [];
  for (let id = 1; id <= requests; id++) outcomes.push(await sender.send(id, "identity"));
  sender[Symbol.dispose]();
  await serving;
  return outcomes.map(({ outcome, resent }) => resent ? `${outcome}, resent ${resent}` : outcome);
}

const INSTANCE = { id: "i1", service: "identity", version: 1 };

function http1(id: number, more = "", text = answerText(INSTANCE, id)): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n${more}\r\n${text}`;
}

const kept = (where: Where) => new Http1Sender({ where, exchange: get("/"), keep: true });

Deno.test("a kept connection that is closed between requests is no failure", async () => {
  const answerAndClose = (id: number, more?: string): Script => async (connection) => {
    await connection.hear();
    await connection.say(http1(id, more));
  };
  const slowly = (where: Where): Sender => {
    const sender = kept(where);
    const send = async (id: number, service: string) => {
      // The end of the connection is heard meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return await sender.send(id, service);
    };
    return { send, [Symbol.dispose]: () => sender[Symbol.dispose]() };
  };
  assert.deepEqual(await against([answerAndClose(1), answerAndClose(2)], slowly, { requests: 2 }), ["ok", "ok"]);
  const announced = "connection: close\r\n";
  assert.deepEqual(await against([answerAndClose(1, announced), answerAndClose(2)], kept, { requests: 2 }), [
    "ok",
    "ok",
  ]);
});

Deno.test("a kept connection that ends when a request was sent is told from other ends", async () => {
  const outcomes = await against(
    [async (connection) => {
      await connection.hear();
      await connection.say(http1(1));
      await connection.hear();
    }],
    kept,
    { requests: 2 },
  );
  assert.deepEqual(outcomes, ["ok", "eof_idle"]);
});

Deno.test("senders of HTTP/1.1 tell how a request failed", async () => {
  const cases: readonly (readonly [string, Script])[] = [
    ["eof", (connection) => connection.hear()],
    ["truncated", answer("HTTP/1.1 200")],
    ["truncated", answer(http1(1).slice(0, -1))],
    ["truncated", answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nid\r\n")],
    ["status:503", answer("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\nno")],
    ["status:0", answer("something else\r\n\r\n")],
    ["wrong_answer", answer(http1(2))],
    ["wrong_answer", answer(http1(1, "", answerText({ ...INSTANCE, service: "orders" }, 1)))],
    ["ok", answer(http1(1))],
  ];
  for (const [outcome, script] of cases) assert.deepEqual(await against([script], kept), [outcome], outcome);
});

Deno.test("senders do not wait for ever", async () => {
  const silent: Script = async (connection) => {
    await connection.hear();
    // Goes on listening until the other end has had enough.
    while (await connection.hear());
  };
  for (const make of [kept, http2, (where: Where) => new WebSocketSender(where)]) {
    assert.deepEqual(await against([silent], make, { timeoutMs: 100 }), ["timeout"]);
  }
});

Deno.test("senders tell who does not listen from who does not accept", async () => {
  using watchdog = new Watchdog();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const where = { port: listener.addr.port, timeoutMs: 10_000, watchdog };
  using connected = kept(where);
  const waiting = connected.send(1, "identity");
  await new Promise((resolve) => setTimeout(resolve, 20));
  listener.close();
  assert.equal((await waiting).outcome, "reset");
  for (const sender of [kept(where), http2(where), new WebSocketSender(where)]) {
    assert.equal((await sender.send(1, "identity")).outcome, "refused");
  }
});

Deno.test("senders of HTTP/1.1 notice bodies that arrived in part, and streams that lack a piece", async () => {
  const posts = (where: Where) => new Http1Sender({ where, exchange: post(new Chance(1)), keep: true });
  assert.deepEqual(await against([answer(http1(1, "", answerText(INSTANCE, 1, 1)))], posts), ["wrong_answer"]);
  const streams = (where: Where) => new Http1Sender({ where, exchange: stream(200), keep: true });
  const whole = `${answerText(INSTANCE, 1)}\ntick\ntick\nend\n`;
  assert.deepEqual(await against([answer(http1(1, "", whole))], streams), ["ok"]);
  for (const part of [whole.replace("tick\n", ""), whole.replace("end\n", "")]) {
    assert.deepEqual(await against([answer(http1(1, "", part))], streams), ["wrong_answer"]);
  }
});

Deno.test("senders of WebSockets tell how one failed", async () => {
  const begin = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
  const greeting = answerText(INSTANCE, 1);
  const text = (payload: string) => String.fromCharCode(0x81, payload.length) + payload;
  const make = (where: Where) => new WebSocketSender(where);
  const cases: readonly (readonly [string, string])[] = [
    ["status:503", "HTTP/1.1 503 Service Unavailable\r\n\r\n"],
    ["wrong_answer", begin + text("orders o1 v1 1 0")],
    ["wrong_answer", begin + text(greeting) + text("not what was said")],
    ["truncated", begin + text(greeting)],
    // It says goodbye, unasked.
    ["truncated", `${begin}${text(greeting)}\x88\x02\x03\xe9`],
  ];
  for (const [outcome, said] of cases) assert.deepEqual(await against([answer(said)], make), [outcome], outcome);
});

const http2 = (where: Where) => new Http2Sender(new SharedHttp2(where));

function frame(type: number, flags: number, stream: number, payload = ""): string {
  return String.fromCharCode(0, 0, payload.length, type, flags, 0, 0, 0, stream) + payload;
}

const SETTINGS = frame(4, 0, 0);

function http2Answer(stream: number, id: number): string {
  return SETTINGS + frame(1, 4, stream, "\x88") + frame(0, 1, stream, answerText(INSTANCE, id));
}

Deno.test("senders of HTTP/2 send again what was certainly not processed, and count it", async () => {
  const last = (stream: number) => frame(7, 0, 0, `\0\0\0${String.fromCharCode(stream)}\0\0\0\0`);
  const good = answer(http2Answer(1, 1));
  assert.deepEqual(await against([answer(SETTINGS + last(0)), good], http2), ["ok, resent 1"], "beyond GOAWAY");
  assert.deepEqual(await against([answer(SETTINGS + last(1) + http2Answer(1, 1))], http2), ["ok"], "within GOAWAY");
  const refused: Script = async (connection) => {
    await connection.hear();
    await connection.say(SETTINGS + frame(3, 0, 1, "\0\0\0\x07"));
    while (!(await connection.hear()).includes("x-request"));
    await connection.say(http2Answer(3, 1));
  };
  assert.deepEqual(await against([refused], http2), ["ok, resent 1"], "REFUSED_STREAM");
});

Deno.test("senders of HTTP/2 tell how a request failed", async () => {
  const cases: readonly (readonly [string, string])[] = [
    ["eof", SETTINGS],
    // It names the stream among those that it may have processed.
    ["eof", SETTINGS + frame(7, 0, 0, "\0\0\0\x01\0\0\0\0")],
    ["reset", SETTINGS + frame(3, 0, 1, "\0\0\0\x02")],
    ["truncated", SETTINGS + frame(1, 4, 1, "\x88") + frame(0, 0, 1, "identity")],
    // In order, but shorter than the header says: a number of the table, and nine as text.
    ["truncated", SETTINGS + frame(1, 4, 1, "\x88\x0f\x0d\x019") + frame(0, 1, 1, "identity")],
    ["wrong_answer", SETTINGS + frame(1, 4, 1, "\x88") + frame(0, 1, 1, "identity")],
    ["status:404", SETTINGS + frame(1, 5, 1, "\x8d")],
    // After a change of the table's size; the status as text, and compressed.
    ["status:503", SETTINGS + frame(1, 5, 1, "\x20\x08\x03503")],
    ["status:503", SETTINGS + frame(1, 5, 1, "\x48\x83\x6c\x0c\xff")],
  ];
  for (const [outcome, said] of cases) assert.deepEqual(await against([answer(said)], http2), [outcome], outcome);
});

/** Hears something, says this, and ends. */
function answer(said: string): Script {
  return async (connection) => {
    await connection.hear();
    await connection.say(said);
  };
}
