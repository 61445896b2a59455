import assert from "node:assert/strict";
import { UNMEASURED } from "./telemetry.ts";

Deno.test("UNMEASURED does the work of a request, and tells nobody", () => {
  const request = UNMEASURED.begin("http", "GET", {
    header: () => assert.fail("it was asked for a header"),
    url: () => assert.fail("it was asked for the URL"),
  });
  assert.equal(request.within(() => 1), 1);
  request.answered("200", "/healthz");
  UNMEASURED.watch().applied(1n as never);
  assert.equal(UNMEASURED.text(), "");
});
