/** Snapshots for tests of what is saved of them, and what is made of the file. */
import { create } from "@bufbuild/protobuf";
import {
  type Instance_Status,
  PositionSchema,
  type Service,
  ServiceSchema,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Snapshot } from "../../sdk-ts/follow.ts";

type Services = ReadonlyMap<string, Service>;

/** Where nothing is kept of an epoch before. */
export function snapshot(revision: bigint, services: Services): Snapshot {
  return { position: create(PositionSchema, { epoch: 7n, revision }), services, changed: new Set(services.keys()) };
}

/** Services with one instance each, `i1` unless said otherwise as `name/id`. */
export function services(...names: readonly string[]): Services {
  return new Map(names.map((text) => {
    const [name = "", id = "i1"] = text.split("/");
    const instances = [{ id, host: "127.0.0.1", port: 8080, version: 1, weight: 100, enabled: true }];
    return [name, create(ServiceSchema, { name, enabled: true, instances })];
  }));
}

/** The same services with another status. */
export function withStatus(all: Services, status: Instance_Status): Services {
  return new Map(Array.from(all, ([name, service]) => {
    return [name, { ...service, instances: service.instances.map((instance) => ({ ...instance, status })) }];
  }));
}
