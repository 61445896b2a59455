import assert from "node:assert/strict";
import type { Figure } from "./measure.ts";
import { ROOT } from "./program.ts";

Deno.test("every bench finds a figure beside its floors", async () => {
  const folder = await Deno.makeTempDir({ prefix: "portolan-bench-" });
  try {
    const file = `${folder}/figures.json`;
    const args = ["run", "-A", "tests/bench/main.ts", "--quick", "--json", file];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdout: "null" }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { figures } = JSON.parse(await Deno.readTextFile(file)) as { figures: readonly Figure[] };
    assert.ok(figures.length >= 40);
    for (const { name, p50, p99, floors } of figures) {
      for (const value of [p50, p99, ...floors.flatMap((floor) => [floor.p50, floor.p99])]) {
        assert.ok(Number.isFinite(value) && value >= 0, name);
      }
      assert.ok(floors.length > 0, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
