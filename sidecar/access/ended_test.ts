import assert from "node:assert/strict";
import fc from "fast-check";
import { type Ended, type EndedRequest, errorOf, failedConnects, parseEnded, verdictOf } from "./ended.ts";

/** A line as HAProxy writes it, but for what is said. */
function line(said: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    ...{ frontend: "egress", backend: "b001", server: "i1", termination: "--", retries: "0", endMs: 1_795_288_441_635 },
    ...{ queueMs: 0, connectMs: 1, totalMs: 9, bytesIn: 122, bytesOut: 120, status: 200, responseMs: 2, activeMs: 5 },
    ...{ method: "GET", path: "/a", route: "identity", flow: "f1", call: "c1", attempt: "2", later: "-" },
    ...said,
  });
}

function ended(said: Readonly<Record<string, unknown>> = {}): Ended {
  return parseEnded(line(said)) ?? assert.fail();
}

Deno.test("parseEnded() reads what HAProxy says of a request", () => {
  assert.deepEqual(ended(), {
    ...{ frontend: "egress", backend: "b001", server: "i1", termination: "--", retries: 0, endMs: 1_795_288_441_635 },
    ...{ queueMs: 0, connectMs: 1, totalMs: 5, bytesIn: 122, bytesOut: 120 },
    request: {
      ...{ status: 200, responseMs: 2, method: "GET", path: "/a", route: "identity", flow: "f1", call: "c1" },
      ...{ attempt: "2", later: false },
    },
  });
  const { request } = ended({ route: "-", flow: "-", call: "", attempt: "-", later: "1" });
  assert.deepEqual([request?.route, request?.flow, request?.call, request?.attempt], Array(4).fill(undefined));
  assert.equal(request?.later, true);
});

Deno.test("parseEnded() reads what HAProxy says of a connection", () => {
  const { request, ...connection } = parseEnded(
    '{"frontend":"local.bytes","backend":"b007","server":"t1","termination":"SC","retries":"+2","endMs":5,' +
      '"queueMs":1,"connectMs":-1,"totalMs":7,"bytesIn":27,"bytesOut":117}',
  ) ?? assert.fail();
  assert.equal(request, undefined);
  assert.deepEqual(connection, {
    ...{ frontend: "local.bytes", backend: "b007", server: "t1", termination: "SC", retries: 2, endMs: 5 },
    ...{ queueMs: 1, connectMs: -1, totalMs: 7, bytesIn: 27, bytesOut: 117 },
  });
});

Deno.test("parseEnded() knows no server where none was chosen, and no frontend by its TLS mark", () => {
  assert.equal(ended({ server: "<NOSRV>" }).server, undefined);
  assert.equal(ended({ server: "-" }).server, undefined);
  assert.equal(ended({ frontend: "egress~" }).frontend, "egress");
});

Deno.test("parseEnded() takes anything else for none of ours, and never throws", () => {
  for (const text of ["", "x", "{}", "[]", "null", "7", '"frontend"', '{"backend":"b001"}', line().slice(0, -1)]) {
    assert.equal(parseEnded(text), undefined, text);
  }
  const said = fc.dictionary(
    fc.constantFrom(...Object.keys(JSON.parse(line()))),
    fc.oneof(fc.jsonValue(), fc.constantFrom("-", "<NOSRV>", "+9", "SC", 1e300, -1e300, 2 ** 52)),
  );
  fc.assert(fc.property(said, (said) => {
    const found = parseEnded(line(said));
    if (!found) return assert.ok(typeof said["frontend"] !== "string" || said["frontend"] === "");
    for (const value of [found.endMs, found.totalMs, found.bytesIn, found.retries]) assert.ok(Number.isFinite(value));
    new Date(found.endMs - Math.max(0, found.totalMs)).toISOString();
    verdictOf(found);
    assert.ok(["string", "undefined"].includes(typeof errorOf(found)));
  }));
  fc.assert(fc.property(fc.string(), (text) => void parseEnded(text)));
});

const REQUEST: EndedRequest = ended().request ?? assert.fail();

/** A request that reached i1: how it ended, its status, and whether the instance asked for patience. */
const VERDICTS:
  readonly (readonly [termination: string, status: number, later: boolean, ReturnType<typeof verdictOf>])[] = [
    ["--", 200, false, "answered"],
    ["--", 404, false, "answered"],
    ["--", 500, false, "answered"],
    ["--", 502, false, "failed"],
    ["--", 503, false, "failed"],
    ["--", 503, true, "nothing"],
    ["--", 504, false, "failed"],
    ["--", 504, true, "failed"],
    // It went away, said what is no HTTP, was silent.
    ["SH", 502, false, "failed"],
    ["PH", 502, false, "failed"],
    ["sH", 504, false, "failed"],
    // Who it was is asked of HAProxy.
    ["SC", 503, false, "nothing"],
    ["sC", 503, false, "nothing"],
    ["sQ", 503, false, "nothing"],
    // It had answered, whoever went away then.
    ["SD", 200, false, "answered"],
    ["sD", 200, false, "answered"],
    ["CD", 200, false, "answered"],
    ["cD", 503, false, "failed"],
    // The caller went away, or was slow, before.
    ["CH", -1, false, "nothing"],
    ["CC", -1, false, "nothing"],
    ["cR", 408, false, "nothing"],
    ["PR", 400, false, "nothing"],
    ["LR", 404, false, "nothing"],
    ["", 200, false, "nothing"],
  ];

Deno.test("verdictOf() says what an end tells about the instance", () => {
  for (const [termination, status, later, verdict] of VERDICTS) {
    const one = { ...ended(), termination, totalMs: 1_000, request: { ...REQUEST, status, later } };
    assert.equal(verdictOf(one), verdict, `${termination} ${status}`);
    assert.equal(verdictOf({ ...one, server: undefined }), "nothing");
    // A caller who gave it less than a second says nothing about it.
    if (termination === "sH") assert.equal(verdictOf({ ...one, totalMs: 999 }), "nothing");
    const { request: _, ...connection } = one;
    assert.equal(verdictOf(connection), "nothing");
  }
});

Deno.test("failedConnects() counts the connections that a line tells could not be made", () => {
  const of = (retries: string, termination: string) => failedConnects(ended({ retries, termination }));
  assert.deepEqual([of("0", "--"), of("1", "--"), of("+2", "--")], [0, 1, 2]);
  assert.deepEqual([of("2", "SC"), of("+2", "sC"), of("0", "sQ"), of("0", "SH"), of("0", "CC")], [3, 3, 0, 0, 0]);
});

Deno.test("errorOf() is what the caller finds as Portolan-Error", () => {
  const of = (backend: string, termination: string, status: number) =>
    errorOf({ ...ended(), backend, termination, request: { ...REQUEST, status } });
  const table: readonly (readonly [string, string, number, string | undefined])[] = [
    ["b001", "--", 200, undefined],
    ["b001", "--", 503, undefined],
    ["b001", "--", 404, undefined],
    ["b001", "SC", 503, "connect"],
    ["b001", "sQ", 503, "connect"],
    ["b001", "SH", 502, "bad_response"],
    ["b001", "PH", 502, "bad_response"],
    ["b001", "sH", 504, "timeout"],
    ["b001", "SD", 200, undefined],
    ["b001", "CH", -1, undefined],
    ["no_service", "LR", 404, "no_service"],
    ["no_instances", "LR", 503, "no_instances"],
    ["tcp_only", "LR", 400, "bad_request"],
    ["egress", "LR", 400, "bad_request"],
    ["egress", "PR", 400, "bad_request"],
    ["egress", "cR", 408, "timeout"],
    ["egress", "PR", 500, "internal"],
    ["toString", "--", 200, undefined],
  ];
  for (const [backend, termination, status, error] of table) {
    assert.equal(of(backend, termination, status), error, `${backend} ${termination} ${status}`);
  }
  const { request: _, ...connection } = ended({ termination: "SC" });
  assert.equal(errorOf(connection), undefined);
});
