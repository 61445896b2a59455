/** What application and transports tell of themselves; who makes what of it is not their affair. */
import type { ClusterMap } from "../domain/cluster_map.ts";
import type { Revision } from "../domain/names.ts";
import type { RefusalCode } from "../domain/refusal.ts";
import type { Update } from "../domain/update.ts";

export interface Telemetry {
  /** A request begins. `name` is one out of few: a gRPC method in full, an HTTP method. */
  begin(protocol: Protocol, name: string, from: Incoming): Request;
  /** A watch begins. */
  watch(): Watch;
  /** The map has moved with the log. */
  moved(): void;
  /** A change was refused. */
  refused(operation: string, code: RefusalCode): void;
  /** All of it as it is now, in Prometheus' text format. */
  text(): string;
}

export type Protocol = "grpc" | "http";

/** What a request brings of a trace. Asked for only when somebody follows traces. */
export interface Incoming {
  readonly header: (name: string) => string | undefined;
  /** HTTP's. */
  readonly url?: () => string;
}

export interface Request {
  /** Does what is to be known as a part of the request. */
  within<T>(work: () => T): T;
  /** Said once: the name of a gRPC code, or an HTTP status and the pattern of the path that was served. */
  answered(code: string, route?: string): void;
}

export interface Watch {
  /** An update was handed to the stream. */
  delivered(update: Update): void;
  /** The follower routes by the map of this revision. */
  applied(revision: Revision): void;
}

/** What is looked up whenever somebody asks, and costs nothing until then. */
export interface Readings {
  readonly map: () => ClusterMap;
  readonly watchers: () => number;
  /** Names that watchers wait for, all of them together. */
  readonly owed: () => number;
  readonly leases: () => number;
}

/** Tells nobody anything: for tests and for programs that bring no telemetry. */
export const UNMEASURED: Telemetry = {
  begin: () => UNMEASURED_REQUEST,
  watch: () => UNMEASURED_WATCH,
  moved() {},
  refused() {},
  text: () => "",
};

const UNMEASURED_REQUEST: Request = { within: (work) => work(), answered() {} };
const UNMEASURED_WATCH: Watch = { delivered() {}, applied() {} };
