/** What operations of the document share: parameters, headers, failures, and bodies that no message of the contract is. */
import type { DescMessage } from "@bufbuild/protobuf";
import { PositionSchema, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { PartSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { HistoryResponseSchema } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { ALIAS_TEXT, NAME_OR_NOTHING, NAME_TEXT, TIMEOUT_TEXT, TOKEN_OR_NOTHING } from "./openapi_fields.ts";
import { type Schema, schemaName, schemaRef } from "./openapi_schema.ts";

// A digit less than the largest: what has as many need not be below it.
const REVISION = { type: "string", pattern: "^[0-9]{1,18}$" };
const POSITION = { type: "string", pattern: "^(?:[1-9][0-9]{0,17}\\.)?[0-9]{1,18}$", examples: ["1.42", "42"] };
/** A revision as an entity tag. */
const TAG = { type: "string", pattern: '^"[1-9][0-9]{0,17}"$', examples: ['"42"'] };

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description: string;
  readonly schema: Schema;
}

const inPath = (name: string, description: string, schema: Schema = NAME_TEXT) =>
  ({ name, in: "path", description, required: true, schema }) as const;
const inQuery = (name: string, description: string, schema: Schema) =>
  ({ name, in: "query", description, schema }) as const;
const inHeader = (name: string, description: string, schema: Schema) =>
  ({ name, in: "header", description, schema }) as const;

/** Parameters of paths, by their names there. */
export const PATH_PARAMETERS: Readonly<Record<string, Parameter>> = {
  realm: inPath("realm", "The realm; one that nobody has written to is empty"),
  service: inPath("service", "The service's name"),
  id: inPath("id", "The instance's id"),
  alias: inPath("alias", "The alias, never of the form of a version", ALIAS_TEXT),
  hostId: inPath("hostId", "The host, as its instances name it"),
};

/** By their names in `components`: one name can mean different things in different paths. */
export const PARAMETERS = {
  follower: inPath("id", "The follower's id", { type: "string", minLength: 1 }),
  minRevision: inQuery("minRevision", "The answer is of this revision or a later one", REVISION),
  at: inQuery("at", "As it was at this revision or time; without minRevision", {
    anyOf: [REVISION, { type: "string", format: "date-time" }],
  }),
  services: inQuery("service", "Only these services; none: all", { type: "array", items: NAME_TEXT }),
  afterPosition: inQuery("after", "What the reader already holds: EPOCH.REVISION, or a revision", POSITION),
  ofService: inQuery("service", "Only of this service", NAME_OR_NOTHING),
  afterRevision: inQuery("after", "Only what came after this revision", REVISION),
  ofOperation: inQuery("operationId", "Only the change that this operation made", TOKEN_OR_NOTHING),
  limit: inQuery("limit", "Only so many, the newest; 0: all", { type: "integer", minimum: 0, maximum: 0xffff_ffff }),
  revision: inQuery("revision", "Of the epoch that runs; 0: the newest there is", REVISION),
  timeout: inQuery("timeout", "How long to wait. Default: not at all", TIMEOUT_TEXT),
  force: inQuery("force", "Also with instances", { type: "boolean" }),
  reason: inHeader("Portolan-Reason", "Why: at most 1024 bytes", { type: "string", maxLength: 1_024 }),
  operation: inHeader(
    "Portolan-Operation-Id",
    "Makes a repeat safe: within 7 days it is answered alike",
    TOKEN_OR_NOTHING,
  ),
  ifMatch: inHeader("If-Match", "Only if it was last changed at this revision: one ETag; `*`: if it exists", {
    anyOf: [TAG, { const: "*" }],
  }),
  ifNoneMatch: inHeader("If-None-Match", "Only if the resource does not exist; without If-Match", { const: "*" }),
  ifChanged: inHeader("If-None-Match", "Only if the resource has none of these ETags", { type: "string" }),
  lastEventId: inHeader("Last-Event-ID", "Counts before `after`: EPOCH.REVISION, or a revision", POSITION),
} as const satisfies Record<string, Parameter>;

export type ParameterName = keyof typeof PARAMETERS;

const header = (description: string, schema: Schema) => ({ description, schema, required: true });

export const HEADERS = {
  "Portolan-Position": header("What the answer is of: EPOCH.REVISION", { ...POSITION, pattern: "^[0-9]+\\.[0-9]+$" }),
  "Portolan-Revision": header("Since when it is as asked for", REVISION),
  "ETag": header("The revision that last changed the resource; a service's: its own fields", TAG),
  "Retry-After": header("When to try again, in seconds", { type: "string", pattern: "^[0-9]+$" }),
  "Allow": header("The methods that the path has", { type: "string" }),
};

export type HeaderName = keyof typeof HEADERS;

export interface Response {
  readonly description: string;
  readonly status: number;
  readonly headers?: readonly HeaderName[];
  /** Absent: a problem. */
  readonly body?: BodyName | "none";
}

const problem = (status: number, description: string, ...headers: HeaderName[]): Response => ({
  status,
  description,
  ...(headers.length > 0 && { headers }),
});

/** What else than 200 comes back. */
export const RESPONSES = {
  NotModified: { status: 304, description: "It was not changed", headers: ["ETag", "Portolan-Position"], body: "none" },
  BadRequest: problem(400, "INVALID_ARGUMENT: names, numbers, types, unknown fields or parameters"),
  NotFound: problem(404, "NOT_FOUND: what is named does not exist"),
  MethodNotAllowed: problem(405, "UNIMPLEMENTED: the path has other methods", "Allow"),
  Conflict: problem(409, "ABORTED: others kept changing it, try again. FAILED_PRECONDITION: it is in use"),
  Gone: problem(410, "OUT_OF_RANGE: so far back nothing is remembered"),
  PreconditionFailed: problem(412, "FAILED_PRECONDITION: it moved on"),
  TooLarge: problem(413, "RESOURCE_EXHAUSTED: a body over 1 MiB, or more than the resource may hold"),
  TooManyRequests: problem(429, "RESOURCE_EXHAUSTED: the sender asks too much at once", "Retry-After"),
  InternalError: problem(500, "UNKNOWN: perhaps done. INTERNAL: a bug, with its cause in the log"),
  Unavailable: problem(503, "UNAVAILABLE: certainly not done, try again"),
  NotReady: { status: 503, description: "It does not serve as promised", body: "Ready" },
} as const satisfies Record<string, Response>;

export type ResponseName = keyof typeof RESPONSES;

/** A body as its media type has it, and the messages that its schema holds. */
export interface Body {
  readonly type: string;
  readonly schema?: Schema;
  readonly messages?: readonly DescMessage[];
}

const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
});
const array = (items: Schema): Schema => ({ type: "array", items });
const response = (message: DescMessage) => schemaRef(schemaName(message, "response"));
const JSON_TYPE = "application/json";

/** Bodies of responses that are no message of the contract. */
export const BODIES = {
  Services: {
    type: JSON_TYPE,
    schema: object({ position: response(PositionSchema), services: array(response(ServiceSchema)) }),
    messages: [PositionSchema, ServiceSchema],
  },
  History: {
    type: JSON_TYPE,
    schema: object({ entries: array(response(HistoryResponseSchema)) }),
    messages: [HistoryResponseSchema],
  },
  Events: {
    type: "text/event-stream",
    schema: { type: "string", description: "`data` of each event `update` is a `#/components/schemas/Part`" },
    messages: [PartSchema],
  },
  Document: { type: JSON_TYPE, schema: { type: "object" } },
  Problem: { type: "application/problem+json", schema: schemaRef("Problem") },
  Backup: { type: "application/vnd.sqlite3" },
  Alive: { type: JSON_TYPE, schema: object({ status: { const: "alive" } }) },
  Ready: {
    type: JSON_TYPE,
    schema: object({ ready: { type: "boolean" }, reasons: array({ type: "string" }) }),
  },
  Metrics: { type: "text/plain", schema: { type: "string" } },
} as const satisfies Record<string, Body>;

export type BodyName = keyof typeof BODIES;

/** RFC 9457, and the gRPC name of what went wrong. */
export const PROBLEM: Schema = object({
  type: { type: "string", format: "uri-reference" },
  title: { type: "string" },
  status: { type: "integer" },
  detail: { type: "string" },
  code: { type: "string", examples: ["INVALID_ARGUMENT"] },
  violations: array(object({ field: { type: "string" }, description: { type: "string" } })),
});
