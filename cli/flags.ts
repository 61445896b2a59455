/** Flags that several commands share. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { WriteOptionsSchema } from "../proto/gen/portolan/v1/registry_pb.ts";
import {
  type Address,
  address,
  type Flag,
  type Flags,
  formatAddress,
  list,
  optional,
  Problem,
  text,
} from "../proto/settings.ts";
import { parseTime } from "../proto/time.ts";

export type Output = "table" | "json";

const controlPlane: Flag<readonly string[]> = {
  hint: "HOST:PORT,…",
  help: "The control plane's gRPC address; of several the first that is reached",
  env: "PORTOLAN_CONTROL_PLANE",
  fallback: "127.0.0.1:7401",
  parse: (value) => {
    const addresses = list<Address>(address)(value);
    if (addresses instanceof Problem) return addresses;
    return addresses.length > 0 ? addresses.map(formatAddress) : new Problem("expected HOST:PORT");
  },
};

const realm: Flag<string> = {
  hint: "REALM",
  help: "The realm to read and write",
  env: "PORTOLAN_REALM",
  fallback: "local",
  parse: text,
};

const output: Flag<Output> = {
  hint: "json|table",
  help: "What to print: for programs or for people",
  fallback: "table",
  parse: (value) => value === "json" || value === "table" ? value : new Problem("expected json or table"),
};

/** Any text, or none. */
export const words = (value: string | undefined): string => value ?? "";

const reason: Flag<string> = { hint: "TEXT", help: "Why, for the history", parse: words };

const operationId: Flag<string> = {
  hint: "ID",
  help: "Makes a repeat safe: what was done under this id is not done again",
  parse: words,
};

const ifRevision: Flag<bigint | undefined> = {
  hint: "N",
  help: "Only if it was last changed at this revision; 0: only if it does not exist",
  parse: optional(revision),
};

/** What a read is of: a revision, or a time. */
export type At = { readonly atRevision: bigint } | { readonly atTime: MessageInitShape<typeof TimestampSchema> };

/** Of commands that read the map as it was. */
export const AT = {
  at: {
    hint: "REVISION|TIME",
    help: "As it was then: a revision, or a time as in 2026-11-21T12:00:00Z",
    parse: optional(pointInHistory),
  },
} satisfies Flags;

/** Of commands that need the control plane's HTTP. */
export const HTTP: Flag<Address> = {
  hint: "HOST:PORT",
  help: "The control plane's HTTP address",
  env: "PORTOLAN_HTTP",
  fallback: "127.0.0.1:7400",
  parse: address,
};

/** Of every command that reads the map. */
export const READ = { realm, output, controlPlane } satisfies Flags;

/** Of every command that writes to it. */
export const WRITE = { realm, reason, operationId, output, controlPlane } satisfies Flags;

/** Of those that write one instance, service or alias. */
export const WRITE_ONE = { ifRevision, ...WRITE } satisfies Flags;

/** What the flags of a write say, as the contract has it. */
export function writeOptions({ reason, operationId, ifRevision }: {
  readonly reason: string;
  readonly operationId: string;
  readonly ifRevision?: bigint | undefined;
}): MessageInitShape<typeof WriteOptionsSchema> {
  return { reason, operationId, ...(ifRevision !== undefined && { expectedRevision: ifRevision }) };
}

/** A revision, 0 included. */
export function revision(value: string | undefined): bigint | Problem {
  return /^[0-9]{1,19}$/.test(value ?? "") ? BigInt(value ?? "") : new Problem("expected a revision, as in 42");
}

/** `15s`, `0.5s`, `200ms`, `5m` or `24h`. */
export function duration(value: string | undefined): MessageInitShape<typeof DurationSchema> | Problem {
  const [, whole, fraction = "", unit = ""] = /^([0-9]{1,9})(?:\.([0-9]{1,9}))?(ms|s|m|h)$/.exec(value ?? "") ?? [];
  if (whole === undefined) return new Problem("expected a duration, as in 15s, 200ms, 5m or 24h");
  const nanos = BigInt(whole + fraction.padEnd(9, "0")) * (NANOS[unit] ?? 0n) / BILLION;
  return { seconds: nanos / BILLION, nanos: Number(nanos % BILLION) };
}

const BILLION = 1_000_000_000n;
const NANOS: Readonly<Record<string, bigint>> = {
  ms: BILLION / 1_000n,
  s: BILLION,
  m: 60n * BILLION,
  h: 3_600n * BILLION,
};

function pointInHistory(value: string | undefined): At | Problem {
  if (/^0*[1-9][0-9]{0,18}$/.test(value ?? "")) return { atRevision: BigInt(value ?? "") };
  const ms = parseTime(value ?? "");
  if (ms === undefined) return new Problem("expected a revision from 1, or a time as in 2026-11-21T12:00:00Z");
  const seconds = Math.floor(ms / 1000);
  return { atTime: { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 } };
}
