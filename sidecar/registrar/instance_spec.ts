/** What the map is told of an instance: what its file says, and the sidecar where the file says nothing. */
import type { ServiceFile } from "./service_file.ts";

/** What the sidecar knows of its host. */
export interface Home {
  readonly hostId: string;
  readonly zone?: string;
  /** Where other hosts reach this one. */
  readonly advertise: string;
}

/** All that the map is told of an instance. */
export interface InstanceSpec {
  readonly host: string;
  readonly port: number;
  readonly version: number;
  readonly weight: number;
  readonly zone?: string;
  readonly hostId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the file says goes before what the sidecar knows. Equal ones have equal texts. */
export function specOf({ port, version, weight, ...file }: ServiceFile, home: Home): InstanceSpec {
  const zone = file.zone ?? home.zone;
  const metadata = Object.fromEntries(Object.entries(file.metadata).sort(([a], [b]) => a < b ? -1 : 1));
  const host = file.host ?? home.advertise;
  return { host, port, version, weight, ...(zone !== undefined && { zone }), hostId: home.hostId, metadata };
}

/** Two are the same if their texts are. */
export function textOfSpec(spec: Partial<InstanceSpec>): string {
  return JSON.stringify(spec);
}

/** The host id in such a text; `undefined` where there is none. */
export function hostIdIn(text: string): string | undefined {
  try {
    const { hostId } = JSON.parse(text) as Partial<Record<string, unknown>>;
    return typeof hostId === "string" ? hostId : undefined;
  } catch {
    return undefined;
  }
}
