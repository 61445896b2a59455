import assert from "node:assert/strict";
import { VERB } from "../../../control-plane/transport/http_common.ts";
import { routes } from "../../../control-plane/transport/http.ts";
import { testPorts } from "../../../control-plane/transport/testing.ts";
import { DOCUMENT, validator } from "./document.ts";

Deno.test("the document names every route that is served, and no other", async () => {
  await using parts = await testPorts();
  const served = Object.entries(routes(parts.ports, new AbortController().signal)).flatMap(([path, methods]) => {
    const template = path.replace(/:(\w+)/g, "{$1}").replace(VERB, ":");
    return Object.keys(methods).map((method) => `${method} ${template}`);
  });
  const documented = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  assert.ok(served.length > 30);
  assert.deepEqual(documented.sort(), served.sort());
});

Deno.test("every schema of the document is one, and allows no value of another type", () => {
  const names = Object.keys(DOCUMENT.components.schemas);
  assert.ok(names.length > 30);
  for (const name of names) {
    const problemOf = validator({ $ref: `#/components/schemas/${name}` });
    for (const value of [null, true, 1, "a", []]) assert.ok(problemOf(value), name);
  }
  assert.throws(() => validator({ type: "object", propertys: {} }), /propertys/);
});
