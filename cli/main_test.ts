import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { run, spawn } from "./testing/run.ts";

Deno.test("portolan lists its commands, the two servers included", async () => {
  const { exit, out } = await run(["--help"]);
  assert.equal(exit, 0);
  for (
    const name of ["up", "test", "control-plane", "sidecar", "services", "show", "watch", "register", "deregister"]
      .concat(["enable", "disable", "drain", "alias", "split", "remove", "wait", "followers", "history", "top"])
      .concat(["export", "import", "backup", "completion"])
  ) assert.match(out, new RegExp(`^  ${name} +[A-Z]`, "m"));
  assert.deepEqual(await run([]), { exit: 2, out: "", err: out });
});

Deno.test("every command has help with usage, flags and an example of itself", async () => {
  for (const { name } of COMMANDS) {
    const { exit, out, err } = await run([name, "--help"]);
    assert.deepEqual([exit, err], [0, ""]);
    assert.match(out, new RegExp(`^Usage: ./portolan ${name} .*\\[flags\\]$`, "m"));
    assert.match(out, new RegExp(`^Example: .*./portolan ${name}`, "m"));
    assert.match(out, /^ {2}--help/m);
  }
});

Deno.test("an unknown command is wrong usage, with the nearest one named", async () => {
  assert.deepEqual(await run(["servces"]), {
    exit: 2,
    out: "",
    err: 'portolan: Unknown command "servces": did you mean services?\n',
  });
  assert.match((await run(["xyzzy"])).err, /"xyzzy": \.\/portolan --help lists them/);
});

Deno.test("wrong flags and arguments are wrong usage, before anybody is asked", async () => {
  const rows: [string[], RegExp][] = [
    [["services", "--bogus"], /Unknown option '--bogus'; see \.\/portolan services --help/],
    [["services", "identity"], /unexpected argument "identity"/],
    [["services", "--output", "xml"], /--output "xml": expected json or table/],
    [["services", "--control-plane", "nowhere"], /--control-plane "nowhere": expected HOST:PORT/],
    [["services", "--control-plane", ","], /--control-plane ",": expected HOST:PORT/],
    [["show"], /expected SERVICE/],
    [["register", "identity"], /expected SERVICE HOST:PORT/],
    [["register", "identity", "here"], /argument "here": expected HOST:PORT/],
    [["register", "identity", "a:1", "--version", "two"], /--version "two": expected a whole number/],
    [["register", "identity", "a:1", "--metadata", "x"], /--metadata "x": expected KEY=VALUE/],
    [["register", "identity", "a:1", "--ttl", "soon"], /--ttl "soon": expected a duration/],
    [["register", "identity", "a:1", "--keep", "--if-revision", "0"], /--if-revision: expected without --keep/],
    [["deregister", "identity"], /argument "identity": expected SERVICE\/ID/],
    [["disable", "a/b/c"], /argument "a\/b\/c": expected SERVICE\/ID/],
    [["enable"], /expected SERVICE, SERVICE\/ID, or --host H/],
    [["drain", "identity", "--host", "h"], /unexpected argument "identity": expected either SERVICE\[\/ID\] or --host/],
    [["deregister", "a/b", "--held"], /unexpected argument "a\/b": expected either SERVICE\/ID or --held/],
    [["disable", "a", "--if-revision", "x"], /--if-revision "x": expected a revision/],
    [["alias", "identity", "live", "v1", "--delete"], /unexpected argument "v1"/],
    [["remove"], /expected SERVICE/],
    [["services", "--at", "0"], /--at "0": expected a revision from 1, or a time/],
    [["history", "a", "b"], /unexpected argument "b"/],
    [["history", "--limit", "all"], /--limit "all": expected a whole number/],
    [["wait", "7"], /unexpected argument "7": .* the revision is --revision N/],
    [["wait", "--timeout", "1d"], /--timeout "1d": expected a duration/],
    [["followers", "rack1"], /unexpected argument "rack1": expected forget ID/],
    [["followers", "forget"], /expected forget ID/],
    [["export"], /expected FILE, or - for standard output/],
    [["import", "a", "b"], /unexpected argument "b"/],
    [["backup"], /expected FILE/],
    [["backup", "-"], /argument "-": expected FILE/],
    [["top", "identity"], /unexpected argument "identity"/],
    [["alias", "identity", "live", "2"], /argument "2": expected a version, as in v42/],
    [["split", "identity", "v1=10000"], /expected two shares or more/],
    [["split", "identity", "v1=9000", "v0=1000"], /argument "v0=1000": expected a version and its share/],
    [["split", "v1=9000", "v2=1000"], /expected SERVICE \[ALIAS\]/],
    [["completion", "tcsh"], /argument "tcsh": expected bash, zsh or fish/],
    [["test", "unit"], /unknown area "unit": did you mean units/],
    [["up", "now"], /unexpected argument "now"/],
    [["up", "--http", "127.0.0.1:0"], /--http "127.0.0.1:0": expected a port that others can be told/],
  ];
  for (const [args, sentence] of rows) {
    const { exit, out, err } = await run(args);
    assert.deepEqual([args, exit, out], [args, 2, ""]);
    assert.match(err, sentence);
    assert.match(err, new RegExp(`^portolan ${args[0]}: [^\\n]*; see ./portolan ${args[0]} --help\\n$`));
  }
});

Deno.test("nobody to reach ends with 3, and names who was tried", async () => {
  const { exit, err } = await run(["services"], { PORTOLAN_CONTROL_PLANE: "127.0.0.1:9,127.0.0.1:1" });
  assert.equal(exit, 3);
  assert.match(err, /^portolan services: Cannot reach the control plane at 127\.0\.0\.1:9 \(connection refused\), 127/);
  assert.match(err, /start one with \.\/portolan up, or name another with --control-plane\n$/);
});

Deno.test("the program ends with the command's exit code", async () => {
  const outcome = async (...args: string[]) => {
    const { code, stdout, stderr } = await spawn(args).output();
    return [code, new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)];
  };
  const [version, wrong, alone] = await Promise.all([
    outcome("--version"),
    outcome("show"),
    outcome("services", "--control-plane", "127.0.0.1:9"),
  ]);
  assert.deepEqual(version, [0, "portolan 0.1.0\n", ""]);
  assert.deepEqual(wrong, [2, "", "portolan show: expected SERVICE; see ./portolan show --help\n"]);
  assert.equal(alone?.[0], 3);
});
