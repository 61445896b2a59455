import assert from "node:assert/strict";
import fc from "fast-check";
import { accessLine } from "./access_line.ts";
import type { Ended } from "./ended.ts";

const CONNECTION: Ended = {
  ...{ frontend: "local.bytes", backend: "b001", server: "t1", termination: "--", retries: 0, endMs: 10_000 },
  ...{ queueMs: 0, connectMs: 1, totalMs: 4_000, bytesIn: 27, bytesOut: 117 },
};
const REQUEST: Ended = {
  ...CONNECTION,
  frontend: "egress",
  request: {
    ...{ status: 200, responseMs: 2, method: "GET", path: "/teams/7", route: "canary.identity", flow: "f1" },
    ...{ call: "c1", attempt: "2", later: false },
  },
};

Deno.test("accessLine() says of a request who was called, by whom it was answered, and how long that took", () => {
  assert.deepEqual(JSON.parse(accessLine(REQUEST, { service: "identity", version: 41 })), {
    ...{ time: "1970-01-01T00:00:06.000Z", kind: "request", listener: "egress", flow: "f1", call: "c1", attempt: 3 },
    ...{ method: "GET", path: "/teams/7", route: "canary.identity", service: "identity", version: 41, instance: "t1" },
    ...{ status: 200, termination: "--", retries: 0, queueMs: 0, connectMs: 1, responseMs: 2, totalMs: 4_000 },
    ...{ bytesIn: 27, bytesOut: 117 },
  });
});

Deno.test("accessLine() leaves out what there was not", () => {
  const { request } = REQUEST;
  const bad: Ended = {
    ...REQUEST,
    ...{ backend: "egress", server: undefined, termination: "PR", queueMs: -1, connectMs: -1 },
    ...(request && {
      request: {
        ...request,
        ...{ status: 400, responseMs: -1, route: undefined, flow: undefined, call: undefined, attempt: undefined },
      },
    }),
  };
  assert.deepEqual(JSON.parse(accessLine(bad, undefined)), {
    ...{ time: "1970-01-01T00:00:06.000Z", kind: "request", listener: "egress", attempt: 1, method: "GET" },
    ...{ path: "/teams/7", status: 400, error: "bad_request", termination: "PR", retries: 0, totalMs: 4_000 },
    ...{ bytesIn: 27, bytesOut: 117 },
  });
  assert.deepEqual(JSON.parse(accessLine(CONNECTION, { service: "bytes", version: undefined })), {
    ...{ time: "1970-01-01T00:00:06.000Z", kind: "connection", listener: "local.bytes", service: "bytes" },
    ...{ instance: "t1", termination: "--", retries: 0, queueMs: 0, connectMs: 1, totalMs: 4_000 },
    ...{ bytesIn: 27, bytesOut: 117 },
  });
});

Deno.test("accessLine() is one line that nobody can forge another one in, and says what was sent", () => {
  const marks = ['"', "\\", "\n", "\r", "\u2028", "\u2029", "\u0085", "\u007f", "\u001b", "\0", "{", "}", ",", ":"];
  const nasty = fc.oneof(
    fc.string({ unit: fc.constantFrom(...marks) }),
    fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
  );
  fc.assert(
    fc.property(nasty, nasty, nasty, nasty, (path, flow, call, attempt) => {
      const { request } = REQUEST;
      const line = accessLine({ ...REQUEST, ...(request && { request: { ...request, path, flow, call, attempt } }) }, {
        service: "identity",
        version: 1,
      });
      // deno-lint-ignore no-control-regex -- they are what this is about
      assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
      const said = JSON.parse(line);
      assert.deepEqual([said.path, said.flow, said.call, said.service], [path, flow, call, "identity"]);
    }),
  );
});

Deno.test("accessLine() counts attempts from 1, and takes only a number for one", () => {
  const attempt = (attempt: string | undefined) => {
    const { request } = REQUEST;
    return JSON.parse(accessLine({ ...REQUEST, ...(request && { request: { ...request, attempt } }) }, undefined))
      .attempt;
  };
  assert.deepEqual([undefined, "0", "1", "2"].map(attempt), [1, 1, 2, 3]);
  for (const odd of ["x", "", " 1", "-1", "1e9", "0x10", "1.5", "9".repeat(20)]) assert.equal(attempt(odd), undefined);
});
