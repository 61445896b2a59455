/** Checked names and numbers: made only by `parse…`, so that whatever holds one need not ask again. */
import { WEIGHT_RANGE } from "../../proto/limits.ts";
import { aliasProblem, hostProblem, MAX_VERSION, nameProblem, stickyHeaderProblem } from "../../proto/names.ts";

declare const checked: unique symbol;
type Checked<T, Name extends string> = T & { readonly [checked]: Name };

export type Realm = Checked<string, "Realm">;
export type ServiceName = Checked<string, "ServiceName">;
export type InstanceId = Checked<string, "InstanceId">;
export type AliasName = Checked<string, "AliasName">;
export type HostId = Checked<string, "HostId">;
export type Zone = Checked<string, "Zone">;
export type Host = Checked<string, "Host">;
export type Port = Checked<number, "Port">;
/** Number of a deploy, from 1. */
export type Version = Checked<number, "Version">;
/** 0 to 256. */
export type Weight = Checked<number, "Weight">;
export type StickyHeader = Checked<string, "StickyHeader">;
/** What a registrar renews: whoever knows it can keep its instances on the map. */
export type LeaseId = Checked<string, "LeaseId">;
/** A writer's name for one write, the same when it is repeated. */
export type OperationId = Checked<string, "OperationId">;
/** In ms: 1 s to 24 h. */
export type Ttl = Checked<number, "Ttl">;
/** The map's only clock; 0 is before the first commit. */
export type Revision = Checked<bigint, "Revision">;
/** One unbroken history of the store. */
export type Epoch = Checked<bigint, "Epoch">;

/** What a text or number is not: `problem` follows "Cannot use …: ". */
export class Invalid {
  constructor(readonly problem: string) {}
}

export const parseRealm = textParser<Realm>(nameProblem);
export const parseServiceName = textParser<ServiceName>(nameProblem);
export const parseInstanceId = textParser<InstanceId>(nameProblem);
export const parseAliasName = textParser<AliasName>(aliasProblem);
export const parseHostId = textParser<HostId>(nameProblem);
export const parseZone = textParser<Zone>(nameProblem);
export const parseHost = textParser<Host>(hostProblem);
export const parseStickyHeader = textParser<StickyHeader>(stickyHeaderProblem);

export const parseLeaseId = textParser<LeaseId>(tokenProblem);
export const parseOperationId = textParser<OperationId>(tokenProblem);

export const parsePort = numberParser<Port>(1, 65535);
export const parseVersion = numberParser<Version>(1, MAX_VERSION);
export const parseWeight = numberParser<Weight>(...WEIGHT_RANGE);
export const parseTtl = numberParser<Ttl>(1_000, 86_400_000);
export const parseRevision = bigintParser<Revision>(0n);
export const parseEpoch = bigintParser<Epoch>(1n);

export const NO_REVISION = 0n as Revision;
export const DEFAULT_VERSION = 1 as Version;
export const DEFAULT_WEIGHT = 100 as Weight;

function tokenProblem(text: string): string | undefined {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text) ? undefined : "expected 1 to 64 of A-Z, a-z, 0-9, ., _ and -";
}

function textParser<T extends string>(problemOf: (text: string) => string | undefined) {
  return (text: string): T | Invalid => {
    const problem = problemOf(text);
    return problem === undefined ? text as T : new Invalid(problem);
  };
}

function numberParser<T extends number>(least: number, most: number) {
  return (value: number): T | Invalid =>
    Number.isInteger(value) && value >= least && value <= most
      ? value as T
      : new Invalid(`expected a whole number from ${least} to ${most}`);
}

// What the wire and SQLite carry is 64 bits; half of them is plenty and spares everybody the sign.
const MOST = 2n ** 63n - 1n;

function bigintParser<T extends bigint>(least: bigint) {
  return (value: bigint): T | Invalid =>
    value >= least && value <= MOST ? value as T : new Invalid(`expected a whole number from ${least} to ${MOST}`);
}
