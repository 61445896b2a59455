import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { PositionSchema, type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { decodeMapFile, encodeMapFile, type MapFile } from "./map_file.ts";
import { services } from "./testing/saved_maps.ts";

const MAP: MapFile = {
  scope: { realm: "local", services: ["a", "b"] },
  position: create(PositionSchema, { epoch: 1_700_000_000_000n, revision: 0xffff_ffff_ffff_ffffn }),
  heardAt: 1_700_000_000_123,
  services: services("a", "b/i2"),
  kept: services("a/i3"),
};

const encode = (map: MapFile) => encodeMapFile(map, (service) => toBinary(ServiceSchema, service));

Deno.test("decodeMapFile() answers what was encoded", () => {
  assert.deepEqual(decodeMapFile(encode(MAP)), { kind: "map", map: MAP });
});

Deno.test("decodeMapFile() keeps what only another version knows of a service", () => {
  // The name "a", and a field of number 1007.
  const later = fromBinary(ServiceSchema, new Uint8Array([0x0a, 1, 0x61, 0xfa, 0x3e, 2, 1, 2]));
  const decoded = decodeMapFile(encode({ ...MAP, services: new Map<string, Service>([["a", later]]) }));
  assert.ok(decoded.kind === "map");
  assert.deepEqual(decoded.map.services.get("a")?.$unknown, later.$unknown);
  assert.equal(later.$unknown?.length, 1);
});

Deno.test("decodeMapFile() refuses a file that was cut off anywhere, or goes on", () => {
  const file = encode(MAP);
  for (let length = 0; length < file.length; length++) {
    assert.equal(decodeMapFile(file.subarray(0, length)).kind, "damaged", `${length} bytes`);
    assert.equal(decodeMapFile(file.subarray(length + 1)).kind, "damaged", `without ${length + 1} bytes`);
  }
  assert.equal(decodeMapFile(new Uint8Array([...file, 0])).kind, "damaged");
  assert.equal(decodeMapFile(new Uint8Array(file.length)).kind, "damaged", "zeros, as some crashes leave them");
});

Deno.test("decodeMapFile() refuses a file of which any bit is another one", () => {
  const file = encode(MAP);
  for (let bit = 0; bit < 8 * file.length; bit++) {
    const flipped = file.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(decodeMapFile(flipped).kind, "damaged", `bit ${bit}`);
  }
});

Deno.test("decodeMapFile() says what is wrong", () => {
  const file = encode(MAP);
  const reason = (bytes: Uint8Array) => {
    const decoded = decodeMapFile(bytes);
    return decoded.kind === "damaged" ? decoded.reason : "nothing";
  };
  assert.equal(reason(file.subarray(0, 20)), "it ends after 20 bytes");
  assert.equal(reason(file.with(0, 0)), "it is not a saved map");
  assert.equal(reason(file.with(8, 2)), "it is of format 2, expected 1");
  assert.equal(reason(file.with(file.length - 1, file.at(-1) === 0 ? 1 : 0)), CHECKSUM);
  assert.equal(reason(file.subarray(0, -1)), CHECKSUM);
  const unlike = encodeMapFile(MAP, () => new Uint8Array([0xff]));
  assert.match(reason(unlike), /^it cannot be decoded: /);
});

const CHECKSUM = "its checksum is wrong: it was cut off or changed";
