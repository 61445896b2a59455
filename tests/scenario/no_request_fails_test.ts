import assert from "node:assert/strict";
import { Connection } from "./testing/connection.ts";
import { type Host, type Instance, startHost, startInstance } from "./testing/host.ts";

const REQUESTS = 10_000;
const CHANGES = 200;
/** Spread over the changes: each needs a rule that HAProxy does not have yet. */
const RELOADS = 5;

Deno.test("10 000 requests on kept and new connections meet 200 map changes, 5 of which reload: none fails", async () => {
  await using host = await startHost();
  await using stack = new AsyncDisposableStack();
  const instances = ["one", "two", "three"].map((name) => stack.use(startInstance(name)));
  const put = (instance: Instance, more: object = {}) =>
    host.call("PUT", `/services/identity/instances/${instance.name}`, {
      host: "127.0.0.1",
      port: instance.port,
      ...more,
    });
  for (const instance of instances) await put(instance);
  await host.applied();
  const before = (await host.state()).reloads.count;

  const done = new AbortController();
  const load = [...Array(6).fill(true), ...Array(2).fill(false)].map((kept) =>
    send(host.egressPort, kept, done.signal)
  );
  for (let n = 0; n < CHANGES; n++) await change(host, instances, n);
  await host.applied();
  const sent = () => load.reduce((sum, { outcomes }) => sum + outcomes.sent, 0);
  while (sent() < REQUESTS) {
    await host.call("POST", `/services/identity/instances/two:${sent() % 2 ? "enable" : "disable"}`);
  }
  done.abort();
  await Promise.all(load.map(({ ended }) => ended));

  assert.deepEqual(load.flatMap(({ outcomes }) => outcomes.failed), []);
  const arrived = instances.reduce((sum, { requests }) => sum + requests, 0);
  assert.equal(arrived, sent(), "each request arrived once");
  const { count, newest } = (await host.state()).reloads;
  assert.equal(count - before, RELOADS, JSON.stringify(newest));
});

/** Sends one request after the other until the signal; a connection is kept, or is new for each. */
function send(port: number, kept: boolean, until: AbortSignal) {
  const outcomes = { sent: 0, failed: [] as string[] };
  const run = async () => {
    for (let connection = new Connection(port); !until.aborted;) {
      outcomes.sent++;
      try {
        const { status, body } = await connection.get({ "portolan-service": "identity" });
        if (status !== 200) outcomes.failed.push(`${status} ${body}`);
      } catch (error) {
        outcomes.failed.push(String(error));
        connection[Symbol.dispose]();
      }
      if (!kept || until.aborted) {
        connection[Symbol.dispose]();
        connection = new Connection(port);
      }
    }
  };
  return { outcomes, ended: run() };
}

/** The nth change. Instance one stays as it is, so that every request has somewhere to go. */
async function change(host: Host, [, two, three]: readonly Instance[], n: number): Promise<void> {
  const every = CHANGES / RELOADS;
  const at = { host: "127.0.0.1", port: three!.port };
  if (n % every === every - 1) {
    const split = [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }];
    await host.call("PUT", `/services/more-${n}/aliases/live`, { split, stickyHeader: `x-user-${n}` });
    // One reload at a time: the next change that needs one finds this one done.
    return await host.applied();
  }
  switch (n % 4) {
    case 0:
      return void await host.call("POST", `/services/identity/instances/${two!.name}:disable`);
    case 1:
      return void await host.call("PUT", "/services/identity/instances/extra", { ...at, weight: 1 + n % 256 });
    case 2:
      return void await host.call("POST", `/services/identity/instances/${two!.name}:enable`);
    default:
      return void await host.call("DELETE", "/services/identity/instances/extra");
  }
}
