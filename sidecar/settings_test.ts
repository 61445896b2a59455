import assert from "node:assert/strict";
import { loadSidecarSettings } from "./settings.ts";

const NEEDED = ["--host-id", "h1", "--stop-haproxy"];

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
    stopHaproxy: true,
    insecure: false,
    ingress: undefined,
    servicesDir: undefined,
  });
  const env = { PORTOLAN_REALM: "testing", PORTOLAN_CONTROL_PLANE: "a.internal:1,[::1]:2" };
  const told = settingsOf([...NEEDED, "--services", "identity,teams", "--egress", "localhost:80"], env);
  assert.deepEqual([told.realm, told.controlPlane], ["testing", ["a.internal:1", "[::1]:2"]]);
  assert.deepEqual([told.services, told.egress], [["identity", "teams"], { host: "127.0.0.1", port: 80 }]);
  assert.equal(settingsOf([...NEEDED, "--realm", "local"], env).realm, "local");
});

Deno.test("settings refuse what this build does not serve, and a HAProxy without its sidecar", () => {
  assert.match(problemOf(["--host-id", "h1"]), /^--stop-haproxy: must be said: .* cannot be adopted yet/);
  assert.equal(problemOf([...NEEDED, "--ingress", "127.0.0.1:7411"]), '--ingress "127.0.0.1:7411": is not served yet');
  assert.equal(problemOf([...NEEDED, "--services-dir", "x"]), '--services-dir "x": is not served yet');
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
    "--stop-haproxy",
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
