import assert from "node:assert/strict";
import {
  type Address,
  address,
  describeFlags,
  flag,
  formatAddress,
  integer,
  isLoopback,
  list,
  loadSettings,
  name,
  optional,
  Problem,
  reachable,
  text,
} from "./settings.ts";

const FLAGS = {
  realm: { hint: "REALM", help: "the realm", env: "PORTOLAN_REALM", fallback: "local", parse: name },
  hostId: { hint: "ID", help: "this host", parse: name },
  services: { hint: "A,B", help: "which ones", parse: optional(list(name)) },
  port: { hint: "N", help: "where", fallback: "80", parse: integer(0, 65535) },
  force: { hint: "", help: "whatever it takes", parse: flag },
  member: { hint: "M", help: "again and again", many: true, parse: list(text) },
} as const;

const load = (args: readonly string[], env: Record<string, string> = {}, file?: string) =>
  loadSettings(FLAGS, {
    args,
    env,
    readFile: (path) => {
      if (file === undefined) throw new Error(`no such file: ${path}`);
      return file;
    },
  });

function settings(...from: Parameters<typeof load>) {
  const loaded = load(...from);
  if (loaded.kind !== "settings") assert.fail(JSON.stringify(loaded));
  return loaded.settings;
}

function problems(...from: Parameters<typeof load>): readonly string[] {
  const loaded = load(...from);
  if (loaded.kind !== "problems") assert.fail(JSON.stringify(loaded));
  return loaded.problems;
}

Deno.test("loadSettings() takes flags before the environment before the file before defaults", () => {
  const file = JSON.stringify({ realm: "file", "host-id": "file" });
  const env = { PORTOLAN_REALM: "env" };
  const host = ["--host-id", "h1"];
  assert.equal(settings(["--realm", "flag", "--config", "f", ...host], env, file).realm, "flag");
  assert.equal(settings(["--config", "f", ...host], env, file).realm, "env");
  assert.equal(settings(["--config", "f"], { PORTOLAN_REALM: "" }, file).realm, "file");
  assert.equal(settings(host).realm, "local");
  assert.equal(settings(["--config", "f"], env, file).hostId, "file");
});

Deno.test("loadSettings() gives values of their types, and what is no flag", () => {
  const args = [
    "apply",
    "--host-id=h1",
    "--services",
    "a,b",
    "--port",
    "0",
    "--force",
    "--member",
    "x",
    "--member",
    "y",
  ];
  const loaded = load([...args, "--", "--rest"]);
  assert.deepEqual(loaded, {
    kind: "settings",
    settings: { realm: "local", hostId: "h1", services: ["a", "b"], port: 0, force: true, member: ["x", "y"] },
    positionals: ["apply", "--rest"],
  });
  const { services, force, member } = settings(["--host-id", "h1"]);
  assert.deepEqual([services, force, member], [undefined, false, []]);
});

Deno.test("loadSettings() reads arrays, numbers and truths from a file", () => {
  const file = JSON.stringify({ "host-id": "h1", services: ["a", "b"], port: 81, force: true });
  const { services, port, force } = settings(["--config", "f"], {}, file);
  assert.deepEqual([services, port, force], [["a", "b"], 81, true]);
});

Deno.test("loadSettings() reports everything that is wrong at once", () => {
  assert.deepEqual(problems(["--nope", "--port", "-1", "--realm=No", "--force=1", "-z", "--services"]), [
    "Unknown option '--nope'",
    "Option '--port' argument is ambiguous: write '--port=-1'",
    "Option '--force' does not take an argument",
    "Unknown option '-z'",
    "Option '--services <value>' argument missing",
    '--realm "No": expected lower case',
    "--host-id: is required",
  ]);
  const file = JSON.stringify({ port: 65536, force: "perhaps", constructor: 1, hostId: "h1" });
  assert.deepEqual(problems(["--config", "f"], { PORTOLAN_REALM: "a b" }, file), [
    '--config "f": unknown setting "constructor"',
    '--config "f": unknown setting "hostId"',
    '--realm "a b": expected a-z, 0-9 and inner hyphens',
    "--host-id: is required",
    '--port "65536": expected a whole number from 0 to 65535',
    '--force "perhaps": expected true or false',
  ]);
});

Deno.test("loadSettings() says what is wrong with a file", () => {
  const host = ["--host-id", "h1", "--config", "f"];
  assert.deepEqual(problems(host), ['--config "f": no such file: f']);
  assert.deepEqual(problems(host, {}, "[]"), ['--config "f": expected a JSON object']);
  assert.match(problems(host, {}, "{")[0]!, /^--config "f": .+JSON/);
});

Deno.test("loadSettings() without a reader of files knows no --config", () => {
  const loaded = loadSettings(FLAGS, { args: ["--host-id", "h1", "--config", "f"], env: {} });
  assert.deepEqual(loaded, { kind: "problems", problems: ["Unknown option '--config'"] });
});

Deno.test("loadSettings() gives help to who asks for it, whatever else is wrong", () => {
  for (const args of [["--help"], ["-h"], ["--nope", "--help"]]) assert.deepEqual(load(args), { kind: "help" });
});

Deno.test("describeFlags() shows hints, defaults and variables in columns", () => {
  assert.equal(
    describeFlags({ realm: FLAGS.realm, hostId: FLAGS.hostId, force: FLAGS.force }),
    "  --realm REALM  the realm (default local, PORTOLAN_REALM)\n" +
      "  --host-id ID   this host\n" +
      "  --force        whatever it takes\n",
  );
});

Deno.test("address() reads hosts and ports, and formatAddress() writes them", () => {
  for (const good of ["127.0.0.1:7400", "localhost:0", "[::1]:65535", "0.0.0.0:80", "[::]:80", "db.example.com:1"]) {
    const parsed = address(good);
    assert.ok(!(parsed instanceof Problem), good);
    assert.equal(formatAddress(parsed), good);
  }
  for (
    const bad of [
      "",
      "localhost",
      ":80",
      "localhost:",
      "localhost:65536",
      "::1:80",
      "[::1]",
      "a b:1",
      "A:1",
      "a:1:2",
      "1.2.3:1",
    ]
  ) {
    assert.ok(address(bad) instanceof Problem, bad);
  }
  assert.ok(address(undefined) instanceof Problem);
});

Deno.test("reachable() turns all interfaces into this machine", () => {
  const listeners = ["0.0.0.0:1", "[::]:1", "127.0.0.1:1", "[::1]:1"].map((text) => address(text) as Address);
  assert.deepEqual(listeners.map(reachable), ["127.0.0.1:1", "[::1]:1", "127.0.0.1:1", "[::1]:1"]);
});

Deno.test("isLoopback() knows addresses that only this machine reaches", () => {
  const loopback = (host: string) => isLoopback({ host, port: 1 });
  assert.deepEqual(["localhost", "127.0.0.1", "127.9.9.9", "::1"].map(loopback), [true, true, true, true]);
  assert.deepEqual(["0.0.0.0", "::", "10.0.0.1", "example.com", "128.0.0.1"].map(loopback), Array(5).fill(false));
  assert.equal(loopback("127.0.0.1.example.com"), false);
});

Deno.test("integer() takes whole numbers in its range, in plain digits", () => {
  const parse = integer(1, 10);
  assert.deepEqual(["1", "10", "007"].map(parse), [1, 10, 7]);
  for (const bad of ["0", "11", "1.5", "1e1", "-1", "+1", " 1", "", "0x1", "Infinity", undefined]) {
    assert.ok(parse(bad) instanceof Problem, String(bad));
  }
});
