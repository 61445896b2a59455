/** Bounds from above on encoded sizes, in bytes, without encoding: cheap enough to keep with every service. */
import type { Alias, InstanceSpec } from "./cluster_map.ts";
import { type ServiceSpec, specBytes } from "./service_spec.ts";

// Tags, lengths and numbers of one message at their longest.
const INSTANCE = 64;
const ALIAS = 32;
const SHARE = 16;
const METADATA_ENTRY = 12;
/** A service with nothing in it but its name. */
export const SERVICE_BYTES = 128;

interface Contents {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly instances: readonly InstanceSpec[];
  readonly aliases: readonly Pick<Alias, "name" | "route">[];
}

/** Of a service and all that is in it. */
export function serviceBytes({ name, spec, instances, aliases }: Contents): number {
  const own = SERVICE_BYTES + name.length + specBytes(spec);
  const all = instances.reduce((sum, instance) => sum + instanceBytes(instance), own);
  return aliases.reduce((sum, alias) => sum + aliasBytes(alias), all);
}

export function instanceBytes({ id, host, zone, hostId, metadata }: InstanceSpec): number {
  const names = id.length + host.length + (zone?.length ?? 0) + (hostId?.length ?? 0);
  let bytes = INSTANCE + names;
  for (const key in metadata) bytes += METADATA_ENTRY + textBytes(key) + textBytes(metadata[key] ?? "");
  return bytes;
}

export function aliasBytes({ name, route }: Pick<Alias, "name" | "route">): number {
  if (route.kind === "version") return ALIAS + name.length;
  return ALIAS + name.length + (route.stickyHeader?.length ?? 0) + route.shares.length * SHARE;
}

/** Bytes of keys and values alone. */
export function metadataBytes(metadata: Readonly<Record<string, string>>): number {
  return Object.entries(metadata).reduce((sum, [key, value]) => sum + textBytes(key) + textBytes(value), 0);
}

/** Bytes of a text in UTF-8. */
export function textBytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Two units of a surrogate pair make four bytes together.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
