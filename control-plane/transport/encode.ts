/**
 * The map as the contract has it, each service encoded once per revision and each update once for all who get it.
 * Bytes and texts are kept as long as what they say is held by anybody.
 */
import { create, type DescMessage, toBinary, toJsonString } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Alias, Instance, Position, Service } from "../domain/cluster_map.ts";
import type { Update } from "../domain/update.ts";
import type { Encoded } from "../../proto/grpc.ts";
import * as pb from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { toAlias, toInstance, toService } from "./messages.ts";
import { serviceBytes } from "./service_bytes.ts";
import { PartSchema, WatchResponseSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";

/** Bytes of what one part sets and deletes, at most: an architecture-wide bound that clients may rely on. */
const PART_BYTES = 1 << 20;

/** Subscriptions for which the bytes of one update are kept. */
const MOST_NUMBERS = 8;

/** An update as bytes of `WatchResponse` messages; for subscription 0 they are `GetMapResponse` messages too. */
export function encodeUpdate(update: Update, subscription: number): readonly Encoded[] {
  const known = encodedUpdates.get(update) ?? new Map<number, readonly Encoded[]>();
  encodedUpdates.set(update, known);
  const encoded = known.get(subscription) ?? encodeParts(update, subscription);
  // Clients choose the number: they cannot have an encoding kept for every number that there is.
  if (known.size < MOST_NUMBERS) known.set(subscription, encoded);
  return encoded;
}

/** In bytes. */
export function sizeOf(parts: readonly Encoded[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** An update as JSON texts of `Part` messages, the last one marked. */
export function updateJson(update: Update): readonly string[] {
  const parts = inParts(update, (service) => Buffer.byteLength(serviceJson(service)));
  return parts.map(({ set, deleted, last }) => {
    const { complete, position } = update;
    const head = `"position":${positionJson(position)},"complete":${complete},"last":${last}`;
    return `{${head},"set":[${set.map(serviceJson).join()}],"deleted":${JSON.stringify(deleted)}}`;
  });
}

export function serviceJson(service: Service): string {
  return remember(serviceTexts, service, () => json(pb.ServiceSchema, toService(service)));
}

export function instanceJson(instance: Instance): string {
  return json(pb.InstanceSchema, toInstance(instance));
}

export function aliasJson(alias: Alias): string {
  return json(pb.AliasSchema, toAlias(alias));
}

export function positionJson(position: Position): string {
  return json(pb.PositionSchema, create(pb.PositionSchema, position));
}

const encodedUpdates = new WeakMap<Update, Map<number, readonly Encoded[]>>();
const encodedServices = new WeakMap<Service, Uint8Array>();
const serviceTexts = new WeakMap<Service, string>();

function remember<K extends WeakKey, V>(known: WeakMap<K, V>, key: K, make: () => V): V {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

function bytesOf(service: Service): Uint8Array {
  return remember(encodedServices, service, () => serviceBytes(service));
}

function encodeParts(update: Update, subscription: number): readonly Encoded[] {
  const parts = inParts(update, (service) => bytesOf(service).length);
  return parts.map(({ set, deleted, last }) => {
    const { position, complete } = update;
    // Fields one after the other are one message: the services' bytes go in as they are.
    const writer = new BinaryWriter().raw(
      toBinary(PartSchema, create(PartSchema, { position, complete, last, deleted: [...deleted] })),
    );
    for (const service of set) {
      writer.tag(PartSchema.field.set.number, WireType.LengthDelimited).bytes(bytesOf(service));
    }
    const response = new BinaryWriter()
      .tag(WatchResponseSchema.field.part.number, WireType.LengthDelimited).bytes(writer.finish());
    if (subscription > 0) {
      response.tag(WatchResponseSchema.field.subscription.number, WireType.Varint).uint32(subscription);
    }
    const { buffer, byteOffset, byteLength } = response.finish();
    return Buffer.from(buffer, byteOffset, byteLength);
  });
}

interface Slice {
  readonly set: Service[];
  readonly deleted: string[];
  last: boolean;
}

function inParts({ set, deleted }: Update, sizeOf: (service: Service) => number): readonly Slice[] {
  let part: Slice = { set: [], deleted: [], last: false };
  const parts = [part];
  let bytes = 0;
  const roomFor = (size: number) => {
    if (bytes > 0 && bytes + size > PART_BYTES) {
      parts.push(part = { set: [], deleted: [], last: false });
      bytes = 0;
    }
    bytes += size;
    return part;
  };
  // A tag and a length come with each.
  for (const service of set) roomFor(sizeOf(service) + 8).set.push(service);
  for (const name of deleted) roomFor(name.length + 8).deleted.push(name);
  part.last = true;
  return parts;
}

function json<M extends DescMessage>(schema: M, message: Parameters<typeof toJsonString<M>>[1]): string {
  return toJsonString(schema, message, { alwaysEmitImplicit: true });
}
