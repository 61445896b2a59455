import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedControlPlane } from "./testing/control_plane.ts";
import { spawn } from "./testing/run.ts";

async function withPlane(
  test: (plane: Awaited<ReturnType<typeof startedControlPlane>>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portolan-import-"));
  try {
    await using plane = await startedControlPlane();
    await test(plane, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a realm holds, but for revisions, which an import does not take over. */
function content(json: string): unknown {
  return JSON.parse(json, (key, value) => /modified|specModified|position/.test(key) ? undefined : value);
}

Deno.test("export and import move a realm, whole, also to another one", async () => {
  await withPlane(async ({ run, done, http, env }, folder) => {
    await done("register", "identity", "127.0.0.1:8080", "--id", "one", "--metadata", "team=a", "--ttl", "600s");
    await done("register", "teams", "127.0.0.1:8081", "--id", "one", "--version", "2");
    await done("disable", "teams/one");
    await done("split", "identity", "v1=9000", "v2=1000", "--sticky-header", "x-user");
    const put = JSON.stringify({ protocol: "H2C", check: { kind: "HTTP", path: "/up" }, policy: { timeoutMs: 500 } });
    await (await fetch(`${http}/api/v1/realms/local/services/identity`, { method: "PUT", body: put })).text();
    const before = content(await done("services", "--output", "json"));

    const file = join(folder, "local.json");
    assert.equal(await done("export", file), `Exported 2 services of realm "local" to ${file}\n`);
    assert.deepEqual(readdirSync(folder), ["local.json"]);
    const { out, err } = await run("export", "-");
    assert.deepEqual([out, err], [readFileSync(file, "utf8"), ""]);
    const { services, bytes } = JSON.parse(await done("export", file, "--output", "json"));
    assert.deepEqual([services, bytes], [2, readFileSync(file).length]);

    assert.match(await done("import", file, "--realm", "testing"), /^Imported 2 services into realm "testing" \(posi/);
    assert.deepEqual(content(await done("services", "--realm", "testing", "--output", "json")), before);

    await done("register", "more", "127.0.0.1:8082");
    await done("disable", "identity");
    const imported = JSON.parse(await done("import", file, "--force", "--output", "json", "--reason", "back"));
    assert.deepEqual([imported.services, imported.removed], [2, 1]);
    assert.deepEqual(content(await done("services", "--output", "json")), before);
    assert.match(await done("history", "more"), / back +removed$/m);
    const elsewhere = await run("import", file, "--control-plane", "127.0.0.1:9");
    assert.equal(elsewhere.exit, 3);
    assert.ok(env["PORTOLAN_CONTROL_PLANE"]);
  });
});

Deno.test("import is refused whole: what would take too much, and what is no such file", async () => {
  await withPlane(async ({ run, done }, folder) => {
    await done("register", "identity", "127.0.0.1:8080");
    const file = join(folder, "map.json");
    const said = async (text: string, ...args: string[]) => {
      writeFileSync(file, text);
      const { exit, out, err } = await run("import", file, ...args);
      assert.deepEqual([exit, out], [1, ""]);
      return err;
    };
    const map = (services: unknown) => JSON.stringify({ format: "portolan-map/1", realm: "local", services });
    assert.match(await said(map([])), /^portolan import: Cannot import .* 30 %.*\(--force\)\n$/);
    assert.match(await said(map([{ name: "Identity" }]), "--force"), /services\[0\]\.name|name.*lower case/);
    assert.match(await said("{"), /^portolan import: Cannot import ".*map\.json": Expected property name/);
    assert.match(
      (await run("import", join(folder, "none"))).err,
      /^portolan import: Cannot read .*: there is no such f/,
    );
    assert.match((await run("import", folder)).err, /: it is a folder\n$/);
    assert.match(await done("services"), /^identity/m);
  });
});

Deno.test("a realm larger than one message goes over in pieces, from standard input too", async () => {
  await withPlane(async ({ done, env }) => {
    const instances = Array.from({ length: 200 }, (_, i) => ({
      id: `i${i}`,
      host: "127.0.0.1",
      port: 8080,
      version: 1,
      weight: 100,
      enabled: true,
      metadata: { text: "x".repeat(1000) },
    }));
    const services = Array.from({ length: 12 }, (_, i) => ({ name: `s${i}`, enabled: true, instances }));
    const text = JSON.stringify({ format: "portolan-map/1", realm: "large", services });
    const child = spawn(["import", "-", "--output", "json"], env, "piped");
    await new Response(text).body?.pipeTo(child.stdin);
    const { code, stdout, stderr } = await child.output();
    const utf8 = new TextDecoder();
    assert.deepEqual([code, utf8.decode(stderr), JSON.parse(utf8.decode(stdout)).services], [0, "", 12]);
    assert.match(await done("services", "--realm", "large"), /^s11 +yes +200\/200/m);
  });
});
