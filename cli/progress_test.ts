import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { DiscoveryService } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { serviceDefinition } from "../proto/grpc.ts";
import { sleep } from "../proto/sleep.ts";
import { run } from "./main.ts";
import { progress } from "./progress.ts";

/** What is said at these times, in ms, each with its time as the text. */
function said(times: readonly number[], lookedOn: boolean): string[] {
  const printed: string[] = [];
  let now = 0;
  const shown = progress({ err: (text) => void printed.push(text), lookedOn }, "wait", () => now);
  for (const time of times) {
    now = time;
    shown.now(`at ${time}`);
  }
  shown[Symbol.dispose]();
  return printed;
}

Deno.test("progress() says nothing of what is over in a moment", () => {
  assert.deepEqual([said([0, 100, 499], true), said([0, 100, 4_999], false)], [[], []]);
});

Deno.test("progress() writes one line anew on a terminal, and clears it at the end", () => {
  const clear = "\r\x1b[K";
  assert.deepEqual(said([500, 550, 600], true), [
    `${clear}portolan wait: at 500`,
    `${clear}portolan wait: at 600`,
    clear,
  ]);
});

Deno.test("progress() writes plain lines elsewhere, seldom", () => {
  assert.deepEqual(said([5_000, 6_000, 10_000], false), ["portolan wait: at 5000\n", "portolan wait: at 10000\n"]);
});

/** Answers a message again and again until something was said on standard error; then the last one. */
async function until(
  said: () => boolean,
  call: grpc.ServerWritableStream<unknown, unknown>,
  one: object,
  last: object,
) {
  const { signal } = new AbortController();
  for (let left = 1_000; left > 0 && !said() && !call.cancelled; left--, await sleep(10, signal)) call.write(one);
  call.write(last);
  call.end();
}

Deno.test("export and history say how far they have come, and leave only what was asked for", async () => {
  let err = "";
  const said = () => err.length > 0;
  const server = new grpc.Server();
  server.addService(serviceDefinition(DiscoveryService), {
    getMap: (call: grpc.ServerWritableStream<unknown, unknown>) =>
      until(said, call, { part: { set: [{ name: "a" }] } }, { part: { position: { epoch: 1n }, complete: true } }),
  });
  const change = { revision: 1n, operation: "register", after: { name: "a" } };
  server.addService(serviceDefinition(FleetService), {
    history: (call: grpc.ServerWritableStream<unknown, unknown>) => until(said, call, change, change),
  });
  const bind = Promise.withResolvers<number>();
  const loopback = grpc.ServerCredentials.createInsecure();
  server.bindAsync("127.0.0.1:0", loopback, (error, port) => error ? bind.reject(error) : bind.resolve(port));
  const env = { PORTOLAN_CONTROL_PLANE: `127.0.0.1:${await bind.promise}` };
  try {
    const cases = [
      [["export", "-"], "services read", /"name":"a"/],
      [["history"], "changes read", /^REVISION/],
    ] as const;
    for (const [args, words, printed] of cases) {
      err = "";
      let out = "";
      const io = { env, out: (text: string) => void (out += text), err: (text: string) => void (err += text) };
      assert.equal(await run(args, { ...io, lookedOn: true }), 0, err);
      assert.match(out, printed);
      const [clear, line, ...rest] = err.split("\r\x1b[K");
      assert.match(line ?? "", new RegExp(`^portolan ${args[0]}: \\d+ ${words}$`));
      assert.deepEqual([clear, rest.at(-1)], ["", ""]);
    }
  } finally {
    server.forceShutdown();
  }
});
