import assert from "node:assert/strict";
import { overlaid } from "../app/testing.ts";
import { openMemoryStore } from "../store/memory.ts";
import { ask, refusalOf, testControlPlane, until } from "./testing.ts";

/** A store whose commits, once it is shut, wait until it is opened. */
function gated() {
  const memory = openMemoryStore();
  let gate = Promise.resolve();
  let open = () => {};
  let waiting = 0;
  const store = overlaid(memory, {
    commit: async (...how) => {
      waiting++;
      await gate;
      return await memory.commit(...how);
    },
  });
  const shut = () => {
    waiting = 0;
    ({ promise: gate, resolve: open } = Promise.withResolvers<void>());
  };
  return { store, shut, open: () => open(), waiting: () => waiting };
}

Deno.test("a write has its place until it is done, though its client has gone, over either transport", async () => {
  const { store, shut, open, waiting } = gated();
  await using plane = await testControlPlane({ store, maxRequests: 2 });
  shut();
  const gone = new AbortController();
  const { signal } = gone;
  const instance = { host: "127.0.0.1", port: 1 };
  const writes = [
    plane.registry.register({ realm: "local", service: "a", id: "i", instance }, { signal }),
    fetch(`${plane.url}/services/b/instances/i`, { method: "PUT", body: JSON.stringify(instance), signal }),
  ];
  await until("both are written", () => waiting() === 2);
  gone.abort();
  await Promise.allSettled(writes);
  // Asked on the same connection, or after the other one was closed: the server knows by then.
  assert.equal((await refusalOf(plane.register("c"))).code, "RESOURCE_EXHAUSTED");
  assert.equal((await ask(`${plane.url}/map`)).status, 429);
  assert.equal(plane.requests.taken, 2);
  open();
  await until("their places are free", () => plane.requests.taken === 0);
  assert.deepEqual((await plane.http("GET", "/services")).json.services.length, 2);
});

Deno.test("a write that is given up before it was read leaves its place", async () => {
  await using plane = await testControlPlane({ maxRequests: 1 });
  for (let again = 0; again < 5; again++) {
    const gone = new AbortController();
    const { response } = plane.registry.import({ signal: gone.signal });
    await until("it is under way", () => plane.requests.taken === 1);
    gone.abort();
    assert.equal((await refusalOf(response)).code, "CANCELLED");
    await until("its place is free", () => plane.requests.taken === 0);
  }
});
