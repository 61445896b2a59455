import assert from "node:assert/strict";
import { type Log, SILENT } from "../../proto/log.ts";
import { Inbox } from "../../proto/testing/inbox.ts";
import { AccessLog, openAccessLog } from "./access_log.ts";

/** Takes what it is given when the test says so, a part of it if that is said. */
class Sink {
  readonly #waiting = new Inbox<{ readonly bytes: Uint8Array; readonly taken: PromiseWithResolvers<number> }>();
  text = "";

  write(bytes: Uint8Array): Promise<number> {
    const taken = Promise.withResolvers<number>();
    this.#waiting.put({ bytes, taken });
    return taken.promise;
  }

  async take(most = Infinity): Promise<void> {
    const { bytes, taken } = await this.#waiting.next();
    const part = bytes.subarray(0, most);
    this.text += new TextDecoder().decode(part);
    taken.resolve(part.length);
  }

  async refuse(): Promise<void> {
    (await this.#waiting.next()).taken.reject(new Error("the disk is full"));
  }
}

Deno.test("AccessLog writes every line once and in order, whatever is taken at a time", async () => {
  const sink = new Sink();
  const log = new AccessLog(sink, SILENT);
  log.add("one");
  log.add("two");
  await sink.take(3);
  log.add("three");
  await sink.take(1);
  await sink.take();
  await sink.take();
  assert.equal(sink.text, "one\ntwo\nthree\n");
  log.add("four");
  await sink.take();
  await log[Symbol.asyncDispose]();
  assert.deepEqual([sink.text, log.dropped], ["one\ntwo\nthree\nfour\n", 0]);
});

Deno.test("AccessLog writes a line that comes in the moment in which it has written all", async () => {
  const sink = new Sink();
  const log = new AccessLog(sink, SILENT);
  log.add("one");
  const taken = sink.take();
  // Each of these is a little later, in the same turn of the event loop.
  let turn = taken;
  for (let at = 0; at < 8; at++) turn = turn.then(() => log.add(`${at}`));
  await turn;
  const lines = () => sink.text.split("\n").length - 1;
  while (lines() < 9) await sink.take();
  assert.equal(sink.text, "one\n0\n1\n2\n3\n4\n5\n6\n7\n");
});

Deno.test("AccessLog drops and counts what nobody takes, keeps what waits, and does not grow", async () => {
  const sink = new Sink();
  const log = new AccessLog(sink, SILENT);
  const line = "x".repeat(999);
  for (let at = 0; at < 2_000; at++) log.add(line);
  const kept = Math.floor(1_048_576 / 1_000);
  assert.ok(Math.abs(2_000 - kept - log.dropped) <= 1, `${log.dropped} dropped`);
  const { dropped } = log;
  await sink.take();
  assert.equal(sink.text.length, (2_000 - dropped) * 1_000);
  for (let at = 0; at < 500; at++) log.add(line);
  await sink.take();
  assert.deepEqual([log.dropped, sink.text.length], [dropped, (2_500 - dropped) * 1_000]);
});

Deno.test("AccessLog drops and counts what cannot be written, says so once, and goes on", async () => {
  const errors: string[] = [];
  const told: Log = { ...SILENT, error: (message) => void errors.push(message) };
  const sink = new Sink();
  const log = new AccessLog(sink, told);
  for (const line of ["one", "two"]) {
    log.add(line);
    await sink.refuse();
  }
  log.add("three");
  await sink.take();
  assert.deepEqual([sink.text, log.dropped, errors.length], ["three\n", 2, 1]);
});

Deno.test("AccessLog ends although nobody takes what waits", async () => {
  const log = new AccessLog({ write: () => new Promise(() => {}) }, SILENT);
  log.add("one");
  await log[Symbol.asyncDispose]();
});

Deno.test("openAccessLog() appends to a file, or writes nothing", async () => {
  const folder = await Deno.makeTempDir({ prefix: "access-" });
  try {
    const file = `${folder}/access.log`;
    for (const line of ["one", "two"]) {
      const log = await openAccessLog(file, SILENT);
      log.add(line);
      await log[Symbol.asyncDispose]();
    }
    assert.equal(await Deno.readTextFile(file), "one\ntwo\n");
    const off = await openAccessLog("off", SILENT);
    off.add("nobody");
    await off[Symbol.asyncDispose]();
    assert.equal(off.dropped, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
