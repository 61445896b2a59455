import assert from "node:assert/strict";
import { join } from "node:path";
import { type Log, SILENT } from "../../proto/log.ts";
import { AccessListener } from "./access_listener.ts";

/** What is heard over a socket, until as many as were asked for have come. */
async function listening() {
  const folder = await Deno.makeTempDir({ prefix: "access-" });
  const path = join(folder, "access.sock");
  const heard: string[] = [];
  const warnings: unknown[] = [];
  const log: Log = { ...SILENT, warn: (_, fields) => void warnings.push(fields?.["line"]) };
  let wake = () => {};
  const onEnded = ({ request }: { request?: { path: string } }) => {
    heard.push(request?.path ?? "");
    wake();
  };
  const listener = await AccessListener.listen({ path, log, onEnded });
  return {
    path,
    warnings,
    async heard(count: number): Promise<readonly string[]> {
      while (heard.length < count) await new Promise<void>((done) => wake = done);
      return heard;
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** As HAProxy sends it. */
function line(path: string): string {
  return `{"frontend":"egress","backend":"b001","server":"i1","status":200,"path":${JSON.stringify(path)}}\n`;
}

/** A datagram for each line. */
async function send(path: string, ...lines: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<void> {
  const own = `${path}.${crypto.randomUUID()}`;
  const sender = Deno.listenDatagram({ transport: "unixpacket", path: own });
  try {
    for (const line of lines) {
      const bytes = typeof line === "string" ? new TextEncoder().encode(line) : line;
      await sender.send(bytes, { transport: "unixpacket", path });
    }
  } finally {
    sender.close();
    await Deno.remove(own);
  }
}

Deno.test("AccessListener hears each line once, of several workers at once", async () => {
  await using access = await listening();
  const paths = ["/a", "/ü€😀", "/" + "x".repeat(5_000), ...Array.from({ length: 300 }, (_, at) => `/${at}`)];
  const of = (worker: number) => paths.filter((_, at) => at % 3 === worker).map(line);
  await Promise.all([0, 1, 2].map((worker) => send(access.path, ...of(worker))));
  assert.deepEqual([...await access.heard(paths.length)].sort(), [...paths].sort());
  assert.deepEqual(access.warnings, []);
});

Deno.test("AccessListener passes over what is no line about a request, and warns where it looks like one", async () => {
  await using access = await listening();
  await send(
    access.path,
    "Proxy egress stopped (cumulated conns: FE: 54, BE: 0).\n",
    "Server b007/t1 is going DOWN for maintenance.\n",
    '{"frontend":"egress","path":"/cut',
    line("/a"),
    new Uint8Array([0xff, 0x7b, 0xff]),
    line("/b"),
  );
  assert.deepEqual(await access.heard(2), ["/a", "/b"]);
  assert.deepEqual(access.warnings, ['{"frontend":"egress","path":"/cut']);
});

Deno.test("AccessListener takes the place of what one before it has left, and lets in nobody else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "access-" });
  try {
    const path = join(folder, "access.sock");
    // A socket that nobody listens on stays when its owner is killed.
    Deno.listenDatagram({ transport: "unixpacket", path }).close();
    await Deno.writeTextFile(path, "left over").catch(() => {});
    await using _ = await AccessListener.listen({ path, log: SILENT, onEnded() {} });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await send(path, line("/"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
