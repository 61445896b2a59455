import assert from "node:assert/strict";
import { SidecarWatch, type Stats, trafficOf } from "./top_sidecar.ts";

type Version = Stats["services"][number]["versions"][number];

function version(more: Partial<Version> = {}): Version {
  return {
    ...{ version: 1, requests: 0, connectErrors: 0, responseErrors: 0, current: 0 },
    ...{ statuses: { "5xx": 0 }, responseMs: { mean: 0 } },
    ...more,
  };
}

function stats(services: Readonly<Record<string, readonly Version[]>>, workerPid = 7): Stats {
  const list = Object.entries(services).map(([service, versions]) => ({ service, versions }));
  return { realm: "local", workerPid, services: list };
}

Deno.test("trafficOf() says how much more it has become in a second", () => {
  const before = stats({ identity: [version({ requests: 100, connectErrors: 1, statuses: { "5xx": 7 } })] });
  const after = stats({
    identity: [
      version({
        ...{ requests: 150, connectErrors: 2, responseErrors: 3, statuses: { "5xx": 9 } },
        ...{ current: 4, responseMs: { mean: 1.5 } },
      }),
    ],
  });
  assert.deepEqual(trafficOf(before, after, 2), [
    { service: "identity", version: 1, requestsPerSecond: 25, errorsPerSecond: 3, meanResponseMs: 1.5, current: 4 },
  ]);
});

Deno.test("trafficOf() begins anew with a new worker, and with a version that was not there", () => {
  const before = stats({ identity: [version({ requests: 100 })] });
  const rates = (after: Stats) => trafficOf(before, after, 1).map((one) => [one.version, one.requestsPerSecond]);
  assert.deepEqual(rates(stats({ identity: [version({ requests: 10 })] }, 8)), [[1, 10]]);
  const both = [version({ requests: 101 }), version({ version: 2, requests: 5 }), version({ version: null })];
  assert.deepEqual(rates(stats({ identity: both })), [[2, 5], [1, 1], [null, 0]]);
  // An instance that has gone took its count with it.
  assert.deepEqual(rates(stats({ identity: [version({ requests: 40 })] })), [[1, 0]]);
});

Deno.test("trafficOf() has those with errors first, then the busiest", () => {
  const after = stats({
    calm: [version({ requests: 1 })],
    busy: [version({ requests: 9 })],
    failing: [version({ requests: 2, responseErrors: 1 })],
  });
  assert.deepEqual(trafficOf(stats({}), after, 1).map(({ service }) => service), ["failing", "busy", "calm"]);
});

Deno.test("SidecarWatch says in a sentence why there is nothing to see", async () => {
  let answer = () => Response.json(stats({}));
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => answer());
  const { port } = server.addr;
  const watch = new SidecarWatch({ host: "127.0.0.1", port }, "local");
  const { signal } = new AbortController();
  const problem = async () => (await watch.look(signal)).problem;
  assert.equal(await problem(), undefined);
  assert.deepEqual((await watch.look(signal)).traffic, []);
  answer = () => Response.json({ detail: "Cannot ask HAProxy: it does not run" }, { status: 503 });
  assert.equal(
    await problem(),
    `The sidecar at 127.0.0.1:${port} answers 503: Cannot ask HAProxy: it does not run`,
  );
  for (const body of ["hello", "null", "[]", '{"realm":"local","workerPid":1,"services":[{}]}']) {
    answer = () => new Response(body);
    assert.equal(await problem(), `Who answers at 127.0.0.1:${port} is no sidecar, or one of another version`);
  }
  answer = () => Response.json({ ...stats({}), realm: "testing" });
  assert.equal(await problem(), `The sidecar at 127.0.0.1:${port} serves realm "testing"`);
  const nobody = new SidecarWatch({ host: "127.0.0.1", port: 9 }, "local");
  assert.equal((await nobody.look(signal)).problem, "No sidecar answers at 127.0.0.1:9");
});
