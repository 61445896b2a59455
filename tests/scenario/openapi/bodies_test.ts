import assert from "node:assert/strict";
import fc from "fast-check";
import { Chance, mutateJson } from "../fuzz.ts";
import { type StartedControlPlane, startedControlPlane } from "../control_plane.ts";
import { DOCUMENT, validator } from "./document.ts";
import { instancesOf } from "./instances.ts";

const SERVICE = "/api/v1/realms/local/services/a";

/** A PUT, and the fields for which a refusal may know better: what no schema says, as sums and what depends on others. */
const BODIES = [
  { path: `${SERVICE}/instances/i`, of: "/instances/{id}", fields: ["metadata"] },
  { path: `${SERVICE}/aliases/live`, of: "/aliases/{alias}", fields: ["split", "stickyHeader"] },
  {
    path: SERVICE,
    of: "/services/{service}",
    fields: ["check.path", "limits.maxQueue", "policy.baseMs"],
  },
].map((one) => {
  const [, methods] = Object.entries(DOCUMENT.paths).find(([path]) => path.endsWith(one.of)) ?? [];
  const schema = methods?.["put"]?.requestBody?.content["application/json"].schema;
  assert.ok(schema);
  return { ...one, problemOf: validator(schema), instances: instancesOf(schema, DOCUMENT.components.schemas) };
});

async function put(plane: StartedControlPlane, path: string, body: string) {
  const response = await fetch(plane.http + path, { method: "PUT", body });
  return { status: response.status, text: await response.text() };
}

Deno.test("what the document allows is accepted, but for what no schema can say", async () => {
  await using plane = await startedControlPlane();
  for (const { path, fields, problemOf, instances } of BODIES) {
    let [allowed, accepted] = [0, 0];
    await fc.assert(
      fc.asyncProperty(instances, async (body) => {
        if (problemOf(body) !== undefined) return;
        allowed++;
        const { status, text } = await put(plane, path, JSON.stringify(body));
        if (status === 200) return void accepted++;
        assert.ok(status === 400 || status === 413, text);
        const violations: { field: string }[] = JSON.parse(text).violations;
        for (const { field } of violations) assert.ok(fields.includes(field), text);
      }),
      { numRuns: 500 },
    );
    assert.ok(allowed > 250 && accepted > allowed / 5, `${path}: ${accepted} of ${allowed} accepted`);
  }
});

Deno.test("what is accepted, the document allows", async () => {
  await using plane = await startedControlPlane();
  for (const { path, problemOf, instances } of BODIES) {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(instances, fc.nat(), async (instance, seed) => {
        const mutated = structuredClone(instance) as Record<string, unknown>;
        mutateJson(new Chance(seed), mutated);
        const body = JSON.stringify(mutated);
        const { status, text } = await put(plane, path, body);
        assert.ok(status < 500, text);
        if (status === 200) assert.equal(problemOf(spelt(JSON.parse(body))), undefined, body);
        else refused++;
      }),
      { numRuns: 1_000 },
    );
    assert.ok(refused > 100, `${path}: ${refused} refused`);
  }
});

/** Names as the document spells them: the JSON mapping takes those of the contract too. */
function spelt(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(spelt);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map((
      [key, one],
    ) => [key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()), spelt(one)]),
  );
}
