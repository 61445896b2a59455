import assert from "node:assert/strict";
import { Ejections } from "./ejection.ts";

interface Case {
  readonly id: string;
  readonly input: {
    readonly instances: readonly string[];
    readonly steps: readonly (readonly [ms: number, outcome: "fail" | "ok", id: string])[];
  };
  /** Who is out after each step. */
  readonly expect: readonly (readonly string[])[];
}

const CASES: readonly Case[] = (await Deno.readTextFile(new URL("testdata/ejection.ndjson", import.meta.url)))
  .trim().split("\n").map((line) => JSON.parse(line));

Deno.test("Ejections leaves out whom every SDK leaves out, for as long", () => {
  let steps = 0;
  for (const { id, input, expect } of CASES) {
    const ejections = new Ejections();
    for (const [at, [ms, outcome, instance]] of input.steps.entries()) {
      if (outcome === "fail") ejections.failed(instance, ms, input.instances.length);
      else ejections.answered(instance);
      assert.deepEqual([...ejections.ejected(ms)].sort(), expect[at], `${id}, step ${at}`);
      steps++;
    }
  }
  assert.ok(steps > 100, `only ${steps} steps`);
});

Deno.test("Ejections forgets who is not there any more", () => {
  const ejections = new Ejections();
  for (let at = 0; at < 5; at++) ejections.failed("i1", 0, 2);
  assert.deepEqual(ejections.ejected(1), ["i1"]);
  ejections.keep(new Set(["i2"]));
  assert.deepEqual([ejections.ejected(1), ejections.until("i1")], [[], 0]);
});
