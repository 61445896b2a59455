import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { openApi } from "./openapi.ts";
import type { Schema } from "./openapi_schema.ts";

Deno.test("the document is valid OpenAPI 3.1, and a validator sees when it is not", async () => {
  const problemsOf = async (document: Schema) => (await new Validator().validate({ ...document })).errors;
  assert.equal(await problemsOf(openApi()), undefined);
  for (const [key, value] of [["paths", { healthz: {} }], ["info", {}], ["components", { schemas: [] }]] as const) {
    assert.ok(await problemsOf({ ...openApi(), [key]: value }), key);
  }
});

Deno.test("every part of the document is there and used", () => {
  const document = openApi();
  // Descriptions count: of the data of an event, or a path's other methods, no keyword of OpenAPI 3.1 says anything.
  const refs = new Set(JSON.stringify(document).match(/#\/components\/[^"`]+/g));
  const parts = Object.entries(document["components"] as Record<string, object>)
    .flatMap(([kind, names]) => Object.keys(names).map((name) => `#/components/${kind}/${name}`));
  assert.deepEqual([...refs].sort(), parts.sort());
});

Deno.test("operations have names of their own", () => {
  const names = JSON.stringify(openApi()).match(/"operationId":"\w+"/g) ?? [];
  assert.ok(names.length > 30);
  assert.equal(new Set(names).size, names.length);
});
