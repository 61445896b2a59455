import assert from "node:assert/strict";
import { SILENT } from "../../proto/log.ts";
import { assign } from "../routing/assign.ts";
import { DataFolder } from "./data_folder.ts";
import { CONFIG_FILE, MASTER_SOCKET, TIMEOUTS } from "../config/print_egress.ts";
import { processes } from "./master.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { print } from "../config/print.ts";
import { endStray } from "./stray.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";
import { freePort } from "../testing/rig.ts";

Deno.test("endStray() ends a HAProxy that a killed sidecar left behind, and its sockets", async () => {
  const path = await Deno.makeTempDir();
  try {
    using data = await DataFolder.open(path);
    const egress = { host: "127.0.0.1", port: freePort() };
    const plan = assign(wantedOf(service("identity", { instances: [instance("i1")] })), EMPTY_PLAN);
    data.install(print(plan, { realm: "local", egress, timeouts: TIMEOUTS }, 1));
    const args = ["-W", "-db", "-S", `unix@${MASTER_SOCKET}`, "-f", CONFIG_FILE];
    const left = new Deno.Command("haproxy", { args, cwd: path, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
    for (;;) {
      const found = await processes(data.masterSocket).catch(() => undefined);
      if (found && found.workers.length > 0) break;
      await new Promise((done) => setTimeout(done, 5));
    }
    const said: string[] = [];
    await endStray(data, { ...SILENT, warn: (message, fields) => said.push(`${message} ${fields?.["pid"]}`) });
    await left.status;
    assert.deepEqual(said, [`A HAProxy was left behind by a sidecar that was killed: stopping it ${left.pid}`]);
    assert.deepEqual(
      [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => /sock|stopper/.test(name)),
      [],
    );
    Deno.listen({ hostname: egress.host, port: egress.port }).close();
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("endStray() has nothing to say where nothing was left but dead sockets", async () => {
  const path = await Deno.makeTempDir();
  try {
    using data = await DataFolder.open(path);
    for (const name of [MASTER_SOCKET, "worker-3.sock", "relay.sock", "relay.sock.99.tmp"]) {
      Deno.listen({ transport: "unix", path: `${path}/${name}` }).close();
    }
    await endStray(data, { ...SILENT, warn: () => assert.fail("nothing is to be said") });
    assert.deepEqual([...Deno.readDirSync(path)].map(({ name }) => name).sort(), ["errors", "lock"]);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
