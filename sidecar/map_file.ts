/** A map as the bytes of a file: what it is, what is in it, and a checksum over all of that. */
import { createHash } from "node:crypto";
import { create, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { type Position, PositionSchema, type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";

type Services = ReadonlyMap<string, Service>;

export interface MapFile {
  /** What was asked for; no services: all of the realm. */
  readonly scope: { readonly realm: string; readonly services: readonly string[] };
  readonly position: Position;
  /** When a control plane last said that this is the map, in ms of the wall clock. */
  readonly heardAt: number;
  readonly services: Services;
  /** Instances of an epoch before, routed beside the map, by service. */
  readonly kept: Services;
}

export type DecodedMapFile =
  | { readonly kind: "map"; readonly map: MapFile }
  | { readonly kind: "damaged"; readonly reason: string };

const MAGIC = new TextEncoder().encode("ptln-map");
/** Raised whenever what follows it changes: files of another one are not read. */
const FORMAT = 1;
const HEAD_BYTES = MAGIC.length + 4;
const DIGEST_BYTES = 32;

/** `encoded` answers the bytes of one service. */
export function encodeMapFile(map: MapFile, encoded: (service: Service) => Uint8Array): Uint8Array {
  const { scope, position, heardAt } = map;
  const writer = new BinaryWriter().raw(MAGIC).fixed32(FORMAT).string(scope.realm).uint32(scope.services.length);
  for (const name of scope.services) writer.string(name);
  writer.uint64(position.epoch).uint64(position.revision).uint64(heardAt);
  for (const services of [map.services, map.kept]) {
    writer.uint32(services.size);
    for (const service of services.values()) writer.bytes(encoded(service));
  }
  const content = writer.finish();
  const file = new Uint8Array(content.length + DIGEST_BYTES);
  file.set(content);
  file.set(digestOf(content), content.length);
  return file;
}

/** Total: the answer is the map that was encoded into these bytes, or why there is none in them. */
export function decodeMapFile(file: Uint8Array): DecodedMapFile {
  if (file.length < HEAD_BYTES + DIGEST_BYTES) return damaged(`it ends after ${file.length} bytes`);
  if (MAGIC.some((byte, at) => file[at] !== byte)) return damaged("it is not a saved map");
  const reader = new BinaryReader(file.subarray(MAGIC.length, -DIGEST_BYTES));
  const format = reader.fixed32();
  if (format !== FORMAT) return damaged(`it is of format ${format}, expected ${FORMAT}`);
  const digest = file.subarray(-DIGEST_BYTES);
  if (!digestOf(file.subarray(0, -DIGEST_BYTES)).equals(digest)) {
    return damaged("its checksum is wrong: it was cut off or changed");
  }
  try {
    return { kind: "map", map: read(reader) };
  } catch (error) {
    return damaged(`it cannot be decoded: ${(error as Error).message}`);
  }
}

function read(reader: BinaryReader): MapFile {
  const realm = reader.string();
  const scope = { realm, services: list(reader, () => reader.string()) };
  const position = create(PositionSchema, { epoch: BigInt(reader.uint64()), revision: BigInt(reader.uint64()) });
  const heardAt = Number(reader.uint64());
  return { scope, position, heardAt, services: readServices(reader), kept: readServices(reader) };
}

function readServices(reader: BinaryReader): Services {
  const services = list(reader, () => fromBinary(ServiceSchema, reader.bytes()));
  return new Map(services.map((service) => [service.name, service]));
}

function list<T>(reader: BinaryReader, one: () => T): readonly T[] {
  return Array.from({ length: reader.uint32() }, one);
}

function digestOf(bytes: Uint8Array) {
  return createHash("sha256").update(bytes).digest();
}

function damaged(reason: string): DecodedMapFile {
  return { kind: "damaged", reason };
}
