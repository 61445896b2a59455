import assert from "node:assert/strict";
import { isRefusal } from "../domain/refusal.ts";
import { RouteSchema, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { InstanceSpecSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { parseJson } from "./json.ts";

const utf8 = new TextEncoder();
const instance = (text: string) => parseJson(InstanceSpecSchema, utf8.encode(text));
const route = (text: string) => parseJson(RouteSchema, utf8.encode(text));

/** The fields that a refusal names. */
function fieldsOf(outcome: object): string[] {
  assert.ok(isRefusal(outcome) && outcome.code === "invalid");
  return outcome.violations.map(({ field }) => field);
}

Deno.test("parseJson() reads fields in either spelling, and null as nothing said", () => {
  const spec = instance('{"host":"a","port":8e1,"host_id":"h","zone":null,"version":null,"metadata":{"k":"v"}}');
  assert.ok(!isRefusal(spec));
  assert.deepEqual([spec.host, spec.port, spec.hostId, spec.zone], ["a", 80, "h", ""]);
  assert.deepEqual([spec.version, { ...spec.metadata }], [undefined, { k: "v" }]);
  const split = route('{"split":[{"version":1,"share":1},{"version":2}],"sticky_header":"x-user"}');
  assert.ok(!isRefusal(split));
  assert.deepEqual(split.split.map(({ version, share }) => [version, share]), [[1, 1], [2, 0]]);
  assert.equal(split.stickyHeader, "x-user");
});

Deno.test("parseJson() reads durations as far as the contract's type goes", () => {
  for (
    const [text, seconds, nanos] of [["15s", 15n, 0], ["-1.5s", -1n, -5e8], ["315576000000s", 315_576_000_000n, 0]]
  ) {
    const spec = instance(JSON.stringify({ ttl: text }));
    assert.ok(!isRefusal(spec));
    assert.deepEqual([spec.ttl?.seconds, spec.ttl?.nanos], [seconds, nanos]);
  }
  for (const text of ["315576000001s", "-315576000001s", "999999999999.9s", "1", "1m", "1.s", ".5s", "1.0000000001s"]) {
    assert.deepEqual(fieldsOf(instance(JSON.stringify({ ttl: text }))), ["ttl"]);
  }
});

Deno.test("parseJson() reads enums by name and 64-bit numbers as texts too", () => {
  const service = (text: string) => parseJson(ServiceSchema, utf8.encode(text));
  const good = service(
    '{"modified":"18446744073709551","specModified":7,"instances":[{"status":"PASSING"}],"enabled":true}',
  );
  assert.ok(!isRefusal(good));
  assert.deepEqual([good.modified, good.specModified, good.instances[0]?.status], [18_446_744_073_709_551n, 7n, 1]);
  const bad = '{"modified":"-1","specModified":1.5,"instances":[{"status":1},{"status":"passing"}],"enabled":"true"}';
  assert.deepEqual(fieldsOf(service(bad)), [
    "modified",
    "specModified",
    "instances[0].status",
    "instances[1].status",
    "enabled",
  ]);
});

Deno.test("parseJson() names everything that is wrong, where it stands", () => {
  const cases: [outcome: object, ...fields: string[]][] = [
    [instance(""), "body"],
    [instance("[]"), "body"],
    [instance("null"), "body"],
    [
      instance('{"host":1,"port":"1","metadata":{"k":1,"l":[]},"x":1}'),
      "host",
      "port",
      "metadata.k",
      "metadata.l",
      "x",
    ],
    [instance('{"metadata":[]}'), "metadata"],
    [instance('{"metadata":{"\\ud800":"v"}}'), "metadata"],
    [instance('{"zone":"\\udfff"}'), "zone"],
    [route('{"split":{}}'), "split"],
    [route('{"split":[1,{"version":-1},{"y":1},null]}'), "split[0]", "split[1].version", "split[2].y", "split[3]"],
    [parseJson(RouteSchema, Uint8Array.of(0x7b, 0xff, 0x7d)), "body"],
  ];
  for (const [outcome, ...fields] of cases) assert.deepEqual(fieldsOf(outcome), fields);
});

Deno.test("parseJson() refuses a name that occurs twice in one object, and only there", () => {
  for (
    const [text, name] of [
      ['{"port":1,"port":1}', "port"],
      ['{"port" :1, "p\\u006frt"\n:2}', "port"],
      ['{"metadata":{"a":"","a":""}}', "a"],
      ['{"metadata":{},"x":{"y":[{"b":1,"b":2}]}}', "b"],
      ['{"metadata":{"\\"":"1","\\u0022":"2"}}', '"'],
      ['{"hostId":"a","host_id":"b"}', "host_id"],
    ] as const
  ) assert.deepEqual(fieldsOf(instance(text)), [name], text);
  for (
    const text of [
      '{"host":"host","zone":"host"}',
      '{"metadata":{"host":"a"},"host":"a"}',
      '{"metadata":{"a":"\\"a\\":","b":"{","c":"}"}}',
      '{"metadata":{"a\\\\":"","a":""}}',
    ]
  ) assert.ok(!isRefusal(instance(text)), text);
});

Deno.test("parseJson() refuses what is nested deeper than any message, and counts no brackets in texts", () => {
  const lists = (levels: number) => instance(`{"metadata":{"k":${"[".repeat(levels)}${"]".repeat(levels)}}}`);
  assert.deepEqual(fieldsOf(lists(14)), ["metadata.k"]);
  assert.deepEqual(fieldsOf(lists(15)), ["body"]);
  assert.deepEqual(fieldsOf(instance(`{"a":${"[{},".repeat(15)}1`)), ["body"]);
  const brackets = "[{".repeat(100);
  for (const text of [brackets, `\\"${brackets}`, `${brackets}\\\\`]) {
    assert.ok(!isRefusal(instance(`{"host":"${text}"}`)), text);
  }
});

Deno.test("parseJson() takes a megabyte of anything without harm", () => {
  const million = 1 << 20;
  for (
    const text of [
      "[".repeat(million),
      '{"a":'.repeat(million / 5),
      `{"metadata":{"k":"${'\\"'.repeat(million / 2)}"`,
      `"${"a".repeat(million)}`,
      `{${'"a":1,'.repeat(million / 6)}"b":1}`,
    ]
  ) assert.equal(fieldsOf(instance(text)).length, 1);
  const named = instance(`{${Array.from({ length: 50_000 }, (_, i) => `"x${i}":1`).join()}}`);
  assert.ok(isRefusal(named) && named.violations.length <= 16 && named.message.length < 2_000);
});
