import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import plugin from "./habits.ts";

Deno.test("no-computed-import refuses what the check of layers cannot see", () => {
  assert.deepEqual(rules(`await import("./a.ts"); import("npm:hono");`), []);
  for (const source of ["import(name)", "import(`./a.ts`)", 'import("./" + name)']) {
    assert.deepEqual(rules(source), ["habits/no-computed-import"], source);
  }
});

Deno.test("no-skipped-test refuses tests that never run, or alone", () => {
  for (
    const source of ['Deno.test("a", f)', 'Deno.test({ name: "a", ignore: !canMount, fn })', "use({ only: true })"]
  ) {
    assert.deepEqual(rules(source), [], source);
  }
  for (const source of ['Deno.test.only("a", f)', 'Deno.test.ignore("a", f)', "Deno.test({ only: true, fn })"]) {
    assert.deepEqual(rules(source), ["habits/no-skipped-test"], source);
  }
  assert.deepEqual(rules('Deno.test("a", { ignore: true }, f)'), ["habits/no-skipped-test"]);
});

Deno.test("pure refuses input, output, clock and chance in pure files, tests aside", () => {
  const impure = [
    "Deno.readTextFileSync(path)",
    "Date.now()",
    "new Date()",
    "Math.random()",
    "fetch(url)",
    "const wait = { fetch };",
    "setTimeout(run, 1)",
    "console.log(1)",
  ];
  for (const source of impure) {
    assert.deepEqual(rules(source, "control-plane/domain/change.ts"), ["habits/pure"], source);
    assert.deepEqual(rules(source, "control-plane/domain/change_test.ts"), [], source);
    assert.deepEqual(rules(source, "control-plane/main.ts"), [], source);
  }
  for (const source of ["new Date(0)", "port.fetch(url)", "const o = { fetch: 1 };", "interface P { fetch: string }"]) {
    assert.deepEqual(rules(source, "sidecar/diff.ts"), [], source);
  }
});

function rules(source: string, file = "cli/example.ts"): readonly string[] {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  return Deno.lint.runPlugin(plugin, path, source).map(({ id }) => id);
}
