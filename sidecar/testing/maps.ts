/** Services of a cluster map, for tests, in few words. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AliasSchema,
  type Instance,
  type Instance_Status,
  InstanceSchema,
  type Service,
  ServiceSchema,
  ServiceSpecSchema,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Wanted } from "../routing/plan.ts";
import { type Known, render } from "../routing/render.ts";

/** A version, or shares by version. */
export type RouteInit = number | { readonly split: Readonly<Record<number, number>>; readonly stickyHeader?: string };

export interface InstanceInit {
  readonly host?: string;
  readonly port?: number;
  readonly version?: number;
  readonly weight?: number;
  readonly enabled?: boolean;
  readonly draining?: boolean;
  readonly status?: Instance_Status;
}

export interface ServiceInit {
  readonly enabled?: boolean;
  readonly instances?: readonly Instance[];
  readonly aliases?: Readonly<Record<string, RouteInit>>;
  readonly spec?: MessageInitShape<typeof ServiceSpecSchema>;
}

export function instance(id: string, init: InstanceInit = {}): Instance {
  return create(InstanceSchema, {
    id,
    host: "127.0.0.1",
    port: 8000 + id.charCodeAt(id.length - 1),
    version: 1,
    weight: 100,
    enabled: true,
    ...init,
  });
}

export function service(name: string, { enabled = true, instances = [], aliases = {}, spec }: ServiceInit): Service {
  return create(ServiceSchema, {
    name,
    enabled,
    ...(spec && { spec: create(ServiceSpecSchema, spec) }),
    instances: [...instances],
    aliases: Object.entries(aliases).map(([alias, route]) =>
      create(AliasSchema, {
        name: alias,
        route: typeof route === "number" ? { version: route } : {
          split: Object.entries(route.split).map(([version, share]) => ({ version: Number(version), share })),
          stickyHeader: route.stickyHeader ?? "",
        },
      })
    ),
  });
}

/** Every host is its own address, and every instance answers. */
export const ALL_KNOWN: Known = { addressOf: (host) => host, isEjected: () => false };

/** What the services, all good and with IP addresses, render to. */
export function wantedOf(...services: readonly Service[]): Wanted {
  return new Map(services.map((one) => {
    const rendered = render(one.name, one, ALL_KNOWN);
    if (rendered.kind === "refused") throw new Error(rendered.reason);
    return [one.name, rendered.service];
  }));
}
