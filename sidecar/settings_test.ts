import assert from "node:assert/strict";
import { loadSidecarSettings } from "./settings.ts";

const NEEDED = ["--host-id", "h1"];

Deno.test("settings have the contract's defaults, and the environment beside the flags", () => {
  const settings = settingsOf(NEEDED, {});
  assert.deepEqual(settings, {
    realm: "local",
    data: ".portolan/sidecar",
    hostId: "h1",
    zone: undefined,
    services: [],
    controlPlane: ["127.0.0.1:7401"],
    egress: { host: "127.0.0.1", port: 7410 },
    admin: { host: "127.0.0.1", port: 7412 },
    stopHaproxy: false,
    accessLog: "-",
    insecure: false,
    servicesDir: undefined,
    advertise: undefined,
  });
  const env = { PORTOLAN_REALM: "testing", PORTOLAN_CONTROL_PLANE: "a.internal:1,[::1]:2" };
  const told = settingsOf([...NEEDED, "--services", "identity,teams", "--egress", "localhost:80"], env);
  assert.deepEqual([told.realm, told.controlPlane], ["testing", ["a.internal:1", "[::1]:2"]]);
  assert.deepEqual([told.services, told.egress], [["identity", "teams"], { host: "127.0.0.1", port: 80 }]);
  assert.equal(settingsOf([...NEEDED, "--realm", "local"], env).realm, "local");
});

Deno.test("settings refuse to register services at an address that other hosts do not reach", () => {
  const dir = [...NEEDED, "--services-dir", "services"];
  const { servicesDir, advertise } = settingsOf([...dir, "--control-plane", "localhost:1,127.9.9.9:2,[::1]:3"], {});
  assert.deepEqual([servicesDir, advertise], ["services", undefined]);
  const remote = [...dir, "--control-plane", "127.0.0.1:1,10.0.0.1:7401"];
  assert.match(problemOf(remote), /^--services-dir "services": needs --advertise HOST where .* as 10\.0\.0\.1:7401 is/);
  assert.equal(settingsOf([...remote, "--advertise", "10.0.0.2"], {}).advertise, "10.0.0.2");
  settingsOf([...NEEDED, "--control-plane", "10.0.0.1:7401"], {});
  assert.match(problemOf([...dir, "--advertise", "0.0.0.0"]), /^--advertise "0\.0\.0\.0": expected an address to call/);
  assert.match(problemOf([...dir, "--advertise", "Web"]), /^--advertise "Web": expected lower case/);
});

Deno.test("settings refuse listeners that others reach, unless told", () => {
  for (const flag of ["--egress", "--admin"]) {
    for (const exposed of ["0.0.0.0:7410", "10.0.0.1:7410", "[::]:7410"]) {
      assert.match(problemOf([...NEEDED, flag, exposed]), /^--(?:egress|admin) ".*": other machines reach it/, exposed);
      settingsOf([...NEEDED, flag, exposed, "--insecure"], {});
    }
    settingsOf([...NEEDED, flag, "127.0.0.2:7410"], {});
    settingsOf([...NEEDED, flag, "[::1]:7410"], {});
  }
});

Deno.test("settings refuse words that are none, all at once", () => {
  const bad = ["--realm", "Local", "--egress", "web:80", "--control-plane", "x", "--services", "a,B", "--zone", "-"];
  const loaded = loadSidecarSettings({ args: bad, env: {} });
  assert.ok(loaded.kind === "problems");
  const flags = loaded.problems.map((problem) => /^--[a-z-]+/.exec(problem)?.[0]).sort();
  assert.deepEqual(flags, [
    "--control-plane",
    "--egress",
    "--host-id",
    "--realm",
    "--services",
    "--zone",
  ]);
  assert.match(problemOf([...NEEDED, "--egress", "127.0.0.1:0"]), /expected a port from 1/);
  assert.match(problemOf([...NEEDED, "--control-plane", ","]), /expected HOST:PORT/);
  assert.match(problemOf([...NEEDED, "up"]), /^Unexpected argument "up"$/);
});

function settingsOf(args: readonly string[], env: Record<string, string>) {
  const loaded = loadSidecarSettings({ args, env });
  assert.ok(loaded.kind === "settings", JSON.stringify(loaded));
  return loaded.settings;
}

function problemOf(args: readonly string[]): string {
  const loaded = loadSidecarSettings({ args, env: {} });
  assert.ok(loaded.kind === "problems");
  assert.equal(loaded.problems.length, 1, loaded.problems.join());
  return loaded.problems[0] ?? "";
}
