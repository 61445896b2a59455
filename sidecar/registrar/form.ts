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
export interface Form {
  readonly host: string;
  readonly port: number;
  readonly version: number;
  readonly weight: number;
  readonly zone?: string;
  readonly hostId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the file says goes before what the sidecar knows. Equal forms have equal texts. */
export function formOf({ port, version, weight, ...file }: ServiceFile, home: Home): Form {
  const zone = file.zone ?? home.zone;
  const metadata = Object.fromEntries(Object.entries(file.metadata).sort(([a], [b]) => a < b ? -1 : 1));
  const host = file.host ?? home.advertise;
  return { host, port, version, weight, ...(zone !== undefined && { zone }), hostId: home.hostId, metadata };
}

/** Two forms are the same if their texts are. */
export function textOfForm(form: Partial<Form>): string {
  return JSON.stringify(form);
}

/** The host id in the text of a form; `undefined` where there is none. */
export function hostIdIn(text: string): string | undefined {
  try {
    const { hostId } = JSON.parse(text) as Partial<Record<string, unknown>>;
    return typeof hostId === "string" ? hostId : undefined;
  } catch {
    return undefined;
  }
}
