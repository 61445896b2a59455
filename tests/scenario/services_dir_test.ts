import assert from "node:assert/strict";
import { join } from "node:path";
import type { InstanceView } from "../../sidecar/registrar/local_instance.ts";
import { Connection } from "./testing/connection.ts";
import { type Host, startHost, startInstance } from "./testing/host.ts";
import { type HostFolders, hostFolders } from "./testing/registrar.ts";

Deno.test("a program of any language is called by its name once a file says where it is, and no more once it is gone", async () => {
  await using folders = await hostFolders();
  await using host = await startHost({ sidecarFlags: ["--services-dir", folders.services, "--zone", "a"] });
  await Deno.writeTextFile(join(folders.data, "index.html"), "from python\n");
  await using python = await startPython(folders.data);
  const check = { kind: "HTTP", path: "/index.html", interval: "200ms", rise: 1, fall: 1 };
  const file = { service: "web", port: python.port, version: 3, check, drainTime: "100ms" };
  await folders.write({ "py.json": file });
  await until("it passes", async () => (await instancesOf(host))[0]?.status === "PASSING");
  const [instance] = await instancesOf(host);
  const { id, version, zone, hostId, ttl } = instance as ShownInstance;
  assert.deepEqual([id, version, zone, hostId, ttl], ["py", 3, "a", "test-host", "15s"]);
  await host.applied();
  using connection = new Connection(host.egressPort);
  const ask = async () => {
    await host.applied();
    const { status, body } = await connection.get({ "portolan-service": "v3.web" }, "/index.html");
    return [status, status === 200 ? body : ""];
  };
  assert.deepEqual(await ask(), [200, "from python\n"]);

  await python[Symbol.asyncDispose]();
  await until("it fails", async () => (await instancesOf(host))[0]?.status === "FAILING");
  await using other = startInstance("other");
  await folders.write({
    "other.json": { service: "web", port: other.port, version: 3, check, drainTime: "100ms" },
    "bad.json": "{",
  });
  await until("another one passes", async () => (await instancesOf(host))[0]?.status === "PASSING");
  await folders.write({ "py.json": undefined });
  await until("it is gone", async () => (await instancesOf(host)).map(({ id }) => id).join() === "other");
  assert.equal((await ask())[0], 200);
  assert.equal(other.requests > 0, true);
  const { instances, problems } = await registrarOf(host);
  assert.deepEqual(instances.map(({ id, file, status }) => [id, file, status]), [["other", "other.json", "passing"]]);
  assert.deepEqual(problems.map(({ file }) => file), ["bad.json"]);

  // It leaves for good with its HAProxy.
  await host.endSidecar("SIGTERM");
  assert.deepEqual(await instancesOf(host), []);
});

Deno.test("a sidecar that is stopped or killed leaves its instances, and the next one goes on with them", async () => {
  await using folders = await hostFolders();
  await using host = await startHost({
    haproxyOutlives: true,
    sidecarFlags: ["--services-dir", folders.services],
  });
  await using kept = startInstance("kept");
  const file = { service: "web", port: kept.port, check: { interval: "100ms" }, drainTime: "0s" };
  await folders.write({ "kept.json": file, "drained.json": file, "moved-0.json": file });
  const settled = (name: string) =>
    until(`all pass, ${name} too`, async () => {
      const all = await instancesOf(host);
      return all.map(({ id }) => id).join() === `drained,kept,${name}` &&
        all.every(({ status }) => status === "PASSING");
    });
  await settled("moved-0");
  await host.call("POST", "/services/web/instances/drained:drain");
  const keptOnes = async () => (await instancesOf(host)).filter(({ id }) => !id.startsWith("moved"));
  const before = await keptOnes();
  for (const [round, signal] of (["SIGTERM", "SIGKILL"] as const).entries()) {
    await host.endSidecar(signal);
    await folders.write({ [`moved-${round}.json`]: undefined, [`moved-${round + 1}.json`]: file });
    assert.deepEqual(await keptOnes(), before);
    await host.reviveSidecar();
    await settled(`moved-${round + 1}`);
    await until("all are held", async () => (await registrarOf(host)).instances.every(({ registered }) => registered));
    assert.deepEqual(await keptOnes(), before, signal);
  }
});

interface ShownInstance {
  readonly id: string;
  readonly version: number;
  readonly status: string;
  readonly zone: string;
  readonly hostId: string;
  readonly ttl: string;
  readonly draining: boolean;
}

async function instancesOf(host: Host): Promise<readonly ShownInstance[]> {
  const { services } = await host.call<{ services: { name: string; instances: ShownInstance[] }[] }>(
    "GET",
    "/services",
  );
  return services.find(({ name }) => name === "web")?.instances ?? [];
}

interface RegistrarState {
  readonly instances: readonly InstanceView[];
  readonly problems: readonly { readonly file: string }[];
}

async function registrarOf(host: Host): Promise<RegistrarState> {
  return (await host.state() as unknown as { registrar: RegistrarState }).registrar;
}

/** Python's own server of files, at a port that it chooses. */
async function startPython(folder: HostFolders["data"]) {
  const args = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder];
  const child = new Deno.Command("python3", { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let isEnded = false;
  let said = "";
  while (!said.includes("\n")) said += (await lines.read()).value ?? "";
  return {
    port: Number(/port ([0-9]+)/.exec(said)?.[1]),
    async [Symbol.asyncDispose]() {
      if (isEnded) return;
      isEnded = true;
      child.kill("SIGKILL");
      await lines.cancel();
      await child.status;
    },
  };
}

/** What is so within 20 s. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const begun = performance.now(); !await holds();) {
    assert.ok(performance.now() - begun < 20_000, `For 20 s it did not come to this: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
