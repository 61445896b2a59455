import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PositionSchema, type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { inGroups, MapProblem, mapText, readMapText } from "./map_file.ts";

type Init = MessageInitShape<typeof ServiceSchema>;
const service = (init: Init) => create(ServiceSchema, { enabled: true, ...init });
const instance = { id: "a", host: "::1", port: 80, version: 1, weight: 100, ttl: { seconds: 15n, nanos: 0 } };
const SERVICES = [
  service({ name: "identity", instances: [instance], aliases: [{ name: "live", route: { version: 1 } }] }),
  service({ name: "teams", modified: 12345678901234567n, spec: { localPort: 5432, policy: { timeoutMs: 500 } } }),
];
const position = create(PositionSchema, { epoch: 1n, revision: 5n });
const written = (services: readonly Service[]) => [...mapText({ realm: "local", position, services })].join("");

Deno.test("mapText() is JSON with a service a line, and readMapText() gets the same out of it", () => {
  const text = written(SERVICES);
  assert.deepEqual(JSON.parse(text).position, { epoch: "1", revision: "5" });
  const lines = text.split("\n");
  assert.equal(lines.length, 5);
  assert.match(lines[2] ?? "", /^\{"name":"teams".*\}$/);
  assert.deepEqual(readMapText(text), { realm: "local", services: SERVICES });
  assert.deepEqual(readMapText(written([])), { realm: "local", services: [] });
});

Deno.test("readMapText() says where a file is wrong, and how", () => {
  const file = (services: unknown, more: object = {}) =>
    JSON.stringify({ format: "portolan-map/1", realm: "local", services, ...more });
  const inside = (instance: unknown) => file([{ name: "a" }, { name: "b", instances: [{}, instance] }]);
  const rows: [string, RegExp][] = [
    ["", /^Unexpected end of JSON input/],
    ['{"format":\n"portolan-map/1",}', /line 2 column/],
    ["[]", /^expected a file that .\/portolan export has written, with "format":"portolan-map\/1"$/],
    [file([], { format: "portolan-map/2" }), /^expected a file that/],
    [file([], { relam: "x" }), /^relam: unknown field$/],
    [file([], { realm: 1 }), /^realm: expected a text$/],
    [file({}), /^services: expected a list$/],
    [file([1]), /^services\[0\]: /],
    [file([{ nam: "a" }]), /^services\[0\]: key "nam" is unknown$/],
    [inside({ host: ["x"] }), /^services\[1\] "b": instances\[1\]\.host: /],
    [inside({ metadata: { a: 1 } }), /^services\[1\] "b": instances\[1\]\.metadata: /],
    [file([{ enabled: true }]), /^services\[0\]: name: expected one$/],
    [file([{ name: "a" }, { name: "a" }]), /^services\[1\] "a": expected each service once$/],
    [inside({ port: "x" }), /^services\[1\] "b": instances\[1\]\.port: expected .*"x"$/],
    [inside({ ports: 1 }), /^services\[1\] "b": instances\[1\]: key "ports" is unknown$/],
    [inside({ ttl: "soon" }), /^services\[1\] "b": instances\[1\]\.ttl: /],
    [inside({ status: "GONE" }), /^services\[1\] "b": instances\[1\]\.status: expected one of .*PASSING/],
    [file([{ name: "a", spec: { policy: { timeoutMs: -1 } } }]), /^services\[0\] "a": spec\.policy\.timeoutMs: /],
  ];
  for (const [text, sentence] of rows) {
    const problem = readMapText(text);
    assert.ok(problem instanceof MapProblem, text);
    assert.match(problem.text, sentence);
  }
});

Deno.test("inGroups() fills messages up to their bound, in order, and leaves nothing out", () => {
  const services = Array.from({ length: 100 }, (_, i) => service({ name: `s${i}`, instances: [instance, instance] }));
  const size = toBinary(ServiceSchema, services[99] as Service).length + 8;
  const groups = inGroups(services, size * 10);
  assert.ok(groups.length === 10, `${groups.length} groups`);
  assert.deepEqual(groups.flat(), services);
  assert.deepEqual(inGroups(services.slice(0, 3), 1).map((group) => group.length), [1, 1, 1]);
  assert.deepEqual(inGroups([], 1), []);
});
