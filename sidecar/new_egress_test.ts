/** A sidecar with another `--egress` than the one before, whose HAProxy it takes over. */
import assert from "node:assert/strict";
import { SILENT } from "../proto/log.ts";
import { turn } from "../proto/testing/turn.ts";
import { TIMEOUTS } from "./config/print_base.ts";
import { DataFolder } from "./haproxy/data_folder.ts";
import { Haproxy } from "./haproxy/haproxy.ts";
import { Reconciler } from "./reconcile.ts";
import { takeOver } from "./take_over.ts";
import { get } from "./testing/caller.ts";
import { TestMap } from "./testing/following.ts";
import { instance, service } from "./testing/maps.ts";
import { freePort, startBackend } from "./testing/rig.ts";

type Where = readonly [host: string, port: number];

Deno.test("the same port at all addresses of the host is had from the HAProxy that has it", async () => {
  await using one = startBackend("one");
  await using sidecars = await Sidecars.inFolder();
  const identity = service("identity", { instances: [instance("i1", { port: one.port })] });
  const port = freePort();
  for (const host of ["127.0.0.1", "0.0.0.0", "127.0.0.1"]) {
    await using sidecar = await sidecars.start([host, port]);
    await sidecar.map.change(identity);
    assert.equal((await get(port, "/", "Portolan-Service: identity")).body, "one", host);
  }
});

Deno.test("a service whose port is taken at the new address goes without it, and all others are served", async () => {
  await using one = startBackend("one");
  await using sidecars = await Sidecars.inFolder();
  const [port, own] = [freePort(), freePort()];
  const instances = [instance("i1", { port: one.port })];
  const identity = service("identity", { instances, spec: { localPort: own } });
  {
    await using before = await sidecars.start(["127.0.0.1", port]);
    await before.map.change(identity);
  }
  using _ = Deno.listen({ hostname: "127.0.0.2", port: own });
  await using sidecar = await sidecars.start(["127.0.0.2", port]);
  const refused = await sidecar.map.change(identity, service("late", { instances }));
  assert.deepEqual(refused.map(({ service }) => service), ["identity"]);
});

Deno.test("a new egress port that is taken for a while costs no service", async () => {
  await using one = startBackend("one");
  await using sidecars = await Sidecars.inFolder();
  const [port, next] = [freePort(), freePort()];
  const of = (name: string) => service(name, { instances: [instance("i1", { port: one.port })] });
  {
    await using before = await sidecars.start(["127.0.0.1", port]);
    await before.map.change(of("identity"));
  }
  const thief = Deno.listen({ hostname: "127.0.0.1", port: next });
  await using sidecar = await sidecars.start(["127.0.0.1", next]);
  const applied = sidecar.map.change(of("identity"), of("fresh"));
  while (!sidecar.said.includes("Cannot apply the map: trying again")) await turn();
  thief.close();
  assert.deepEqual(await applied, []);
  for (const name of ["identity", "fresh"]) {
    assert.equal((await get(next, "/", `Portolan-Service: ${name}`)).body, "one", name);
  }
});

/** Sidecars in one folder, one after the other; HAProxy outlives all of them, and ends with this. */
class Sidecars implements AsyncDisposable {
  #last: Where = ["127.0.0.1", 0];

  private constructor(private readonly path: string) {}

  static async inFolder(): Promise<Sidecars> {
    return new Sidecars(await Deno.makeTempDir({ prefix: "sidecar-" }));
  }

  async start([host, port]: Where, stopWithSidecar = false) {
    this.#last = [host, port];
    const said: string[] = [];
    const log = { ...SILENT, error: (message: string) => void said.push(message) };
    const data = await DataFolder.open(this.path);
    const map = new TestMap();
    const haproxy: Haproxy = new Haproxy({ data, log, stopWithSidecar, onRestart: () => reconciler?.look() });
    const egress = { realm: "local", egress: { host, port }, timeouts: TIMEOUTS };
    const left = await takeOver({ data, haproxy, egress, log });
    const running = left && { running: left };
    const often = { reloadEveryMs: 50, portRetryMs: 50, spares: 0 };
    const reconciler: Reconciler = new Reconciler({ following: map, haproxy, data, egress, log, ...often, ...running });
    const stop = new AbortController();
    const run = reconciler.run(stop.signal);
    run.catch((error) => map.fail(error));
    const end = async () => {
      stop.abort();
      await run.catch(() => {});
      await haproxy[Symbol.asyncDispose]();
      await map[Symbol.asyncDispose]();
      data[Symbol.dispose]();
    };
    return { map, said, [Symbol.asyncDispose]: end };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.start(this.#last, true))[Symbol.asyncDispose]();
    await Deno.remove(this.path, { recursive: true });
  }
}
