/**
 * A service's bytes on the wire, as protobuf-es writes its message, in a fraction of the time: a large map is encoded as a
 * whole when somebody follows all of it. Fields at their defaults are left out; the others stand by number.
 */
import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Instance, Service } from "../domain/cluster_map.ts";
import { DEFAULT_SPEC } from "../domain/service_spec.ts";
import {
  AliasSchema,
  InstanceSchema,
  ServiceSchema,
  ServiceSpecSchema,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { STATUSES, toAlias, toSpec } from "./messages.ts";

/** The same as `toBinary` of `toService(service)`. */
export function serviceBytes({ name, modified, specModified, enabled, instances, aliases, spec }: Service): Uint8Array {
  const writer = new BinaryWriter();
  text(writer, SERVICE.name, name);
  uint64(writer, SERVICE.modified, modified);
  uint64(writer, SERVICE.specModified, specModified);
  bool(writer, SERVICE.enabled, enabled);
  for (const instance of instances) {
    writer.tag(SERVICE.instances, WireType.LengthDelimited).fork();
    writeInstance(writer, instance);
    writer.join();
  }
  for (const alias of aliases) {
    writer.tag(SERVICE.aliases, WireType.LengthDelimited).bytes(toBinary(AliasSchema, toAlias(alias)));
  }
  if (spec !== DEFAULT_SPEC) {
    writer.tag(SERVICE.spec, WireType.LengthDelimited).bytes(toBinary(ServiceSpecSchema, toSpec(spec)));
  }
  return writer.finish();
}

const SERVICE = numbersOf(ServiceSchema.field);
const INSTANCE = numbersOf(InstanceSchema.field);
// Of an entry of a map, and of a duration, as the protocol fixes them.
const [KEY, VALUE] = [1, 2];
const [SECONDS, NANOS] = [1, 2];

function writeInstance(writer: BinaryWriter, instance: Instance): void {
  text(writer, INSTANCE.id, instance.id);
  uint64(writer, INSTANCE.modified, instance.modified);
  text(writer, INSTANCE.host, instance.host);
  uint32(writer, INSTANCE.port, instance.port);
  uint32(writer, INSTANCE.version, instance.version);
  uint32(writer, INSTANCE.weight, instance.weight);
  bool(writer, INSTANCE.enabled, instance.enabled);
  bool(writer, INSTANCE.draining, instance.draining);
  uint32(writer, INSTANCE.status, STATUSES[instance.status]);
  text(writer, INSTANCE.zone, instance.zone ?? "");
  text(writer, INSTANCE.hostId, instance.hostId ?? "");
  for (const key in instance.metadata) {
    writer.tag(INSTANCE.metadata, WireType.LengthDelimited).fork();
    // Both always: an entry's fields have no defaults.
    writer.tag(KEY, WireType.LengthDelimited).string(key);
    writer.tag(VALUE, WireType.LengthDelimited).string(instance.metadata[key] ?? "").join();
  }
  if (instance.ttl !== undefined) {
    writer.tag(INSTANCE.ttl, WireType.LengthDelimited).fork();
    const seconds = Math.floor(instance.ttl / 1_000);
    if (seconds > 0) writer.tag(SECONDS, WireType.Varint).int64(seconds);
    uint32(writer, NANOS, instance.ttl % 1_000 * 1_000_000);
    writer.join();
  }
  bool(writer, INSTANCE.held, instance.held);
}

function numbersOf<Name extends string>(
  fields: Readonly<Record<Name, { readonly number: number }>>,
): Record<Name, number> {
  const numbers = Object.entries<{ readonly number: number }>(fields).map(([name, { number }]) => [name, number]);
  return Object.fromEntries(numbers);
}

function text(writer: BinaryWriter, field: number, value: string): void {
  if (value !== "") writer.tag(field, WireType.LengthDelimited).string(value);
}

function bool(writer: BinaryWriter, field: number, value: boolean): void {
  if (value) writer.tag(field, WireType.Varint).bool(value);
}

function uint32(writer: BinaryWriter, field: number, value: number): void {
  if (value !== 0) writer.tag(field, WireType.Varint).uint32(value);
}

function uint64(writer: BinaryWriter, field: number, value: bigint): void {
  if (value !== 0n) writer.tag(field, WireType.Varint).uint64(value);
}
