import assert from "node:assert/strict";
import { Http1, requestText } from "./http1.ts";
import { Cut } from "./outcome.ts";
import { startReceivers } from "./receivers.ts";
import { Watchdog } from "./wire.ts";

Deno.test("receivers write down what arrives: which request, where, when, over which connection", async () => {
  await using receivers = await startReceivers([
    { id: "i1", service: "identity", version: 7 },
    { id: "o1", service: "orders" },
  ]);
  using watchdog = new Watchdog();
  const open = (id: string) => Http1.open({ port: receivers.port(id), timeoutMs: 10_000, watchdog });
  using one = await open("i1");
  using other = await open("i1");
  using orders = await open("o1");
  const ask = async (connection: Http1, id: number) => (await connection.ask(requestText("GET /", "any", id))).body;
  assert.equal(await ask(one, 11), "identity i1 v7 11 0");
  assert.equal(await ask(other, 12), "identity i1 v7 12 0");
  assert.equal(await ask(one, 13), "identity i1 v7 13 0");
  assert.equal(await ask(orders, 14), "orders o1 v1 14 0");
  const { arrived: { instances, instance, id, at, connection } } = await receivers.ledger();
  assert.deepEqual(id, [11, 12, 13, 14]);
  assert.deepEqual(instance.map((number) => instances[number]?.id), ["i1", "i1", "i1", "o1"]);
  assert.deepEqual(at.toSorted((a, b) => a - b), at);
  assert.equal(connection[0], connection[2]);
  assert.notEqual(connection[0], connection[1]);
});

Deno.test("an instance that is stopped gently answers first, one that is cut does not", async () => {
  await using receivers = await startReceivers([{ id: "i1", service: "identity" }]);
  using watchdog = new Watchdog();
  using connections = new DisposableStack();
  const slow = async () => {
    const before = (await receivers.ledger()).arrived.id.length;
    const connection = connections.use(
      await Http1.open({ port: receivers.port("i1"), timeoutMs: 10_000, watchdog }),
    );
    const answer = connection.ask(requestText("GET /slow?ms=300", "identity", 1)).catch((error) => error);
    while ((await receivers.ledger()).arrived.id.length === before);
    return { answer };
  };
  const first = await slow();
  await receivers.stop("i1", { gently: true });
  assert.equal((await first.answer).body, "identity i1 v1 1 0");
  await receivers.start({ id: "i1", service: "identity" });
  await assert.rejects(receivers.start({ id: "i1", service: "identity" }), /Cannot start instance "i1": it runs/);
  const second = await slow();
  await receivers.stop("i1");
  assert.ok(await second.answer instanceof Cut);
  await assert.rejects(receivers.stop("i1"), /Cannot find instance "i1": it does not run/);
});

Deno.test("an instance of TCP sends back what it gets, until it is stopped", async () => {
  await using receivers = await startReceivers([{ id: "t1", service: "raw", protocol: "tcp" }]);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: receivers.port("t1") });
  await connection.write(new TextEncoder().encode("any bytes"));
  const buffer = new Uint8Array(100);
  const count = await connection.read(buffer) ?? 0;
  assert.equal(new TextDecoder().decode(buffer.subarray(0, count)), "any bytes");
  await receivers.stop("t1");
  assert.equal(await connection.read(buffer), null);
});
