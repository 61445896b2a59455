import assert from "node:assert/strict";
import { type ControlPlaneSettings, loadControlPlaneSettings } from "./settings.ts";

const load = (args: readonly string[], env: Record<string, string> = {}, file?: string) =>
  loadControlPlaneSettings({ args, env, ...(file !== undefined && { readFile: () => file }) });

function settings(...of: Parameters<typeof load>): ControlPlaneSettings {
  const loaded = load(...of);
  assert.ok(loaded.kind === "settings", JSON.stringify(loaded));
  return loaded.settings;
}

function problems(...of: Parameters<typeof load>): readonly string[] {
  const loaded = load(...of);
  assert.ok(loaded.kind === "problems", "accepted");
  return loaded.problems;
}

Deno.test("settings default to the embedded store and loopback", () => {
  assert.deepEqual(settings([]), {
    http: { host: "127.0.0.1", port: 7400 },
    grpc: { host: "127.0.0.1", port: 7401 },
    store: { kind: "sqlite" },
    data: ".portolan",
    maxWatches: 10_000,
    maxRequests: 1_000,
    insecure: false,
  });
});

Deno.test("settings refuse limits that are none", () => {
  assert.deepEqual(problems(["--max-watches", "0", "--max-requests", "many"]).length, 2);
  // One that waits holds two places.
  assert.deepEqual(problems(["--max-requests", "1"]), [
    '--max-requests "1": expected a whole number from 2 to 9999999',
  ]);
  const { maxWatches, maxRequests } = settings(["--max-watches", "1", "--max-requests", "2"]);
  assert.deepEqual([maxWatches, maxRequests], [1, 2]);
});

Deno.test("settings come from flags before the environment before the file", () => {
  const file = JSON.stringify({ http: "127.0.0.1:1", grpc: "127.0.0.1:2", store: "memory:" });
  const env = { PORTOLAN_HTTP: "127.0.0.1:3", PORTOLAN_GRPC: "127.0.0.1:4", PORTOLAN_DATA: "d" };
  const { http, grpc, store, data } = settings(["--config", "f", "--http", "[::1]:5"], env, file);
  assert.deepEqual([http, grpc], [{ host: "::1", port: 5 }, { host: "127.0.0.1", port: 4 }]);
  assert.deepEqual([store, data], [{ kind: "memory" }, "d"]);
});

Deno.test("settings name stores as the contract does", () => {
  const cases: [text: string, store: object | RegExp][] = [
    ["memory:", { kind: "memory" }],
    ["sqlite:", { kind: "sqlite" }],
    ["sqlite:/var/lib/map.sqlite", { kind: "sqlite", path: "/var/lib/map.sqlite" }],
    ["sqlite:a:b", { kind: "sqlite", path: "a:b" }],
    ["memory:x", /expected sqlite:, sqlite:PATH or memory:/],
    ["memory", /expected sqlite:/],
    ["memory ", /expected sqlite:/],
    ["sqlite3", /expected sqlite:/],
    ["sqlite", /expected sqlite:/],
    ["", /expected sqlite:/],
    ["postgres:x", /expected sqlite:/],
    ["etcd:http://h1:2379", /etcd is not served yet/],
  ];
  for (const [text, expected] of cases) {
    if (expected instanceof RegExp) assert.match(problems(["--store", text])[0] ?? "", expected, text);
    else assert.deepEqual(settings(["--store", text]).store, expected);
  }
});

Deno.test("settings serve other machines only when told that nobody shows who they are", () => {
  const open = ["--http", "0.0.0.0:7400", "--grpc", "[::]:7401"];
  const refused = problems(open);
  assert.equal(refused.length, 2);
  assert.match(refused[0] ?? "", /^--http "0\.0\.0\.0": .*--insecure/);
  assert.match(refused[1] ?? "", /^--grpc "::": .*--insecure/);
  assert.ok(settings([...open, "--insecure"]).insecure);
  assert.ok(problems(["--http", "10.0.0.1:1"]).length === 1 && settings(["--http", "localhost:1"]));
});

Deno.test("settings report everything that is wrong at once", () => {
  const wrong = problems(["--http", "x", "--grpc", "127.0.0.1:70000", "--store", "y"]);
  assert.deepEqual(wrong.map((problem) => problem.split(" ")[0]), ["--http", "--grpc", "--store"]);
  assert.match(problems(["--hppt", "x"])[0] ?? "", /--hppt/);
  assert.deepEqual(problems(["serve"]), ['Unexpected argument "serve"']);
  assert.match(problems(["--config", "f"], {}, '{"htpp":"x"}')[0] ?? "", /unknown setting "htpp"/);
  assert.equal(load(["--help"]).kind, "help");
});
