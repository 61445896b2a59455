import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { countJunit } from "./junit.ts";
import { nearest } from "./nearest.ts";
import { table } from "./table.ts";
import { run } from "./testing/run.ts";

Deno.test("table() lets no cell move the cursor or begin a line", () => {
  assert.equal(table([["a\x1b[2J", "b\r\nc", "\u009b1m\u2028d"]]), "a [2J  b c   1m d\n");
});

Deno.test("table() aligns columns and leaves no space at the end of a line", () => {
  assert.equal(table([["A", "LONGER", "C"], ["wide é", "b", ""]]), "A       LONGER  C\nwide é  b\n");
});

Deno.test("nearest() finds slips of the hand and the beginnings of words, nothing else", () => {
  const words = ["register", "deregister", "enable", "split", "up"];
  assert.deepEqual(["regster", "enabel", "split", "spilt", "reg", "upp"].map((word) => nearest(word, words)), [
    "register",
    "enable",
    "split",
    "split",
    "register",
    "up",
  ]);
  assert.equal(nearest("frobnicate", words), undefined);
});

Deno.test("countJunit() adds up suites and leaves out what was skipped", () => {
  const xml = `<?xml version="1.0"?><testsuites name="deno test" tests="9" failures="2">
    <testsuite name="a" tests="6" disabled="1" errors="0" failures="1"><testcase name="tests=&quot;5&quot;"/></testsuite>
    <testsuite name="b" tests="3" disabled="0" errors="1" failures="0"></testsuite></testsuites>`;
  assert.deepEqual(countJunit(xml), { passed: 6, failed: 2 });
  assert.deepEqual(countJunit(""), { passed: 0, failed: 0 });
});

Deno.test("completion knows every command and its flags, in each shell's own words", async () => {
  const words = {
    bash: ["--sticky-header", "forget --realm"],
    zsh: ["--sticky-header", "forget --realm"],
    fish: ["-l sticky-header", "followers' -a forget"],
  };
  for (const [shell, known] of Object.entries(words)) {
    const { exit, out } = await run(["completion", shell]);
    assert.equal(exit, 0);
    for (const { name } of COMMANDS) assert.ok(out.includes(name), `${shell}: ${name}`);
    for (const word of [...known, "control-plane", "if-revision"]) assert.ok(out.includes(word), `${shell}: ${word}`);
  }
});

Deno.test("bash takes the completion script, and completes with it", async () => {
  const { out } = await run(["completion", "bash"]);
  const ask = `${out}\nCOMP_WORDS=(portolan dis) COMP_CWORD=1; _portolan; echo "\${COMPREPLY[@]}"
COMP_WORDS=(portolan split --st) COMP_CWORD=2; _portolan; echo "\${COMPREPLY[@]}"
COMP_WORDS=(portolan followers f) COMP_CWORD=2; _portolan; echo "\${COMPREPLY[@]}"
COMP_WORDS=(portolan import --f) COMP_CWORD=2; _portolan; echo "\${COMPREPLY[@]}"`;
  const { stdout } = await new Deno.Command("bash", { args: ["-euc", ask] }).output();
  assert.equal(new TextDecoder().decode(stdout), "disable\n--sticky-header\nforget\n--force\n");
});
