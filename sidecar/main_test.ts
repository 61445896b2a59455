import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { serveFake } from "../sdk-ts/testing/control_plane.ts";
import { at, hear, sessions } from "../sdk-ts/testing/sessions.ts";
import { instance, service } from "./testing/maps.ts";
import { freePort } from "./testing/rig.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** The program as it is run, with the rights that it is given. */
function sidecar(...args: readonly string[]): Deno.Command {
  const line = ["run", "--quiet", "--no-prompt", "-P=sidecar", "sidecar/main.ts", ...args];
  return new Deno.Command(Deno.execPath(), { args: line, cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" });
}

Deno.test("the program answers wrong usage with 2, and everything that is wrong", async () => {
  const { code, stderr } = await sidecar("--realm", "X", "up").output();
  const lines = new TextDecoder().decode(stderr).trim().split("\n");
  assert.equal(code, 2);
  assert.deepEqual(lines.map((line) => line.split(" ").slice(0, 3).join(" ")), [
    "portolan sidecar: --realm",
    "portolan sidecar: --host-id:",
    "portolan sidecar: see",
  ]);
});

Deno.test("the program says which setting it cannot do, and ends", async () => {
  const data = await Deno.makeTempDir();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${taken.addr.port}`;
  const open = sessions();
  await using server = await serveFake(open);
  const sentence = async (...args: readonly string[]) => {
    const free = ["--admin", `127.0.0.1:${freePort()}`, "--egress", `127.0.0.1:${freePort()}`];
    const last = args.length === 0 ? ["--egress", address] : args;
    const output = sidecar("--data", data, "--host-id", "h1", "--control-plane", server.address, ...free, ...last)
      .output();
    if (args.length === 0) {
      const session = await open.next();
      const { subscription } = await hear(session, "subscribe");
      session.send(subscription, {
        ...at(1n, 1n),
        set: [service("identity", { instances: [instance("i1")] })],
        complete: true,
      });
    }
    const { code, stderr } = await output;
    assert.equal(code, 1);
    const said = new TextDecoder().decode(stderr);
    assert.ok(!said.includes("refuses services"), said);
    return said;
  };
  try {
    assert.match(await sentence("--admin", address), /Cannot listen on 127\.0\.0\.1:[0-9]+ \(--admin\): somebody/);
    assert.match(await sentence("--access-log", `${data}/no/log`), /Cannot open ".*no\/log" \(--access-log\)/);
    assert.match(await sentence(), /Cannot listen at 127\.0\.0\.1:[0-9]+: somebody else uses it/);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("the program is alive and not ready without a control plane, and ends at a signal without a trace", async () => {
  const data = await Deno.makeTempDir();
  const admin = freePort();
  try {
    const child = sidecar(
      ...["--data", data, "--host-id", "h1", "--stop-haproxy"],
      ...["--admin", `127.0.0.1:${admin}`, "--egress", `127.0.0.1:${freePort()}`],
      ...["--control-plane", `127.0.0.1:${freePort()}`],
    ).spawn();
    const output = child.output();
    await until(async () => (await (await fetch(`http://127.0.0.1:${admin}/healthz`)).text()) === "ok\n");
    const ready = await fetch(`http://127.0.0.1:${admin}/readyz`);
    assert.equal(ready.status, 503);
    assert.deepEqual((await ready.json()).reasons, ["the control plane has not answered yet"]);
    // What a terminal sends that is closed.
    child.kill("SIGHUP");
    const { code, stderr } = await output;
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.deepEqual([...Deno.readDirSync(data)].map(({ name }) => name).sort(), ["errors", "lock"]);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("the program leaves the roster when it is stopped, once HAProxy has ended", async () => {
  const data = await Deno.makeTempDir();
  const egress = freePort();
  const open = sessions();
  await using server = await serveFake(open);
  const child = sidecar(
    ...["--data", data, "--host-id", "h1", "--stop-haproxy", "--control-plane", server.address],
    ...["--admin", `127.0.0.1:${freePort()}`, "--egress", `127.0.0.1:${egress}`],
  ).spawn();
  const output = child.output();
  try {
    const session = await open.next();
    const { subscription, follower } = await hear(session, "subscribe");
    assert.equal(follower?.id, "h1");
    session.send(subscription, { ...at(1n, 1n), complete: true });
    await hear(session, "received");
    await hear(session, "applied");
    (await Deno.connect({ port: egress })).close();
    child.kill("SIGTERM");
    await hear(session, "goodbye");
    await assert.rejects(Deno.connect({ port: egress }), Deno.errors.ConnectionRefused);
    session.close();
    const { code, stderr } = await output;
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!await holds().catch(() => false)) await new Promise((done) => setTimeout(done, 10));
}
