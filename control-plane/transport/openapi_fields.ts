/** What the contract says of its fields and its descriptors do not: what is required, and which values are allowed. */
import { DEFAULT_VERSION, DEFAULT_WEIGHT } from "../domain/names.ts";
import { ALL } from "../domain/route.ts";
import { BUDGET_RANGES, POLICY_RANGES, STATUS_RANGE } from "../domain/service_spec.ts";
import { LIMIT_RANGE, MAX_CHECK_PATH, MAX_METADATA_BYTES, type Range, WEIGHT_RANGE } from "../../proto/limits.ts";
import { MAX_VERSION, NAME } from "../../proto/names.ts";

/** Keywords of JSON Schema that a field adds; `items` are those of each value in a list or map. */
type Keywords = { readonly [keyword: string]: unknown; readonly items?: Readonly<Record<string, unknown>> };

export const NAME_TEXT = { type: "string", pattern: `^${NAME}$`, maxLength: 63 };
/** An alias is not of the form of a version. */
export const ALIAS_TEXT = { ...NAME_TEXT, not: { type: "string", pattern: "^v[0-9]+$" } };
/** Where nothing is the same as not said. */
export const NAME_OR_NOTHING = { type: "string", pattern: `^(?:${NAME})?$`, maxLength: 63 };
/** Of an operation. */
export const TOKEN_OR_NOTHING = { type: "string", pattern: "^[A-Za-z0-9._-]{0,64}$" };

const range = ([minimum, maximum]: Range) => ({ minimum, maximum });
const ranges = (message: string, table: Readonly<Record<string, Range>>) =>
  Object.fromEntries(Object.entries(table).map(([field, bounds]) => [`${message}.${field}`, range(bounds)]));
/** Durations in whole ms, as texts of these whole seconds and what follows, or of exactly so many. */
const durations = (whole: string, exactly: string, description: string) => ({
  pattern: `^(?:(?:${whole})(?:\\.[0-9]{1,3})?|${exactly})s$`,
  description,
});

/** How long to wait, up to 10 min. */
export const TIMEOUT_TEXT = { type: "string", ...durations("[0-5]?[0-9]{1,2}", "600", "0 s to 10 min in whole ms") };

const PORT = range([1, 65_535]);
const WEIGHT = range(WEIGHT_RANGE);
const VERSION = range([1, MAX_VERSION]);

/** `Message.field`, as in JSON. What is 0 or empty where that means "not said" is allowed. */
export const FIELDS: Readonly<Record<string, Keywords>> = {
  "InstanceSpec.host": {
    minLength: 1,
    maxLength: 253,
    anyOf: [
      { format: "ipv4", pattern: "^[0-9.]+$" },
      { format: "ipv6", pattern: "^[0-9a-f:.]*:[0-9a-f:.]*$" },
      // Numbers at the end are odd spellings of IPv4 addresses.
      { pattern: `^${NAME}(?:\\.${NAME})*$`, not: { type: "string", pattern: "(?:^|\\.)(?:[0-9]+|0x[0-9a-f]*)$" } },
    ],
    // All interfaces: nowhere to call.
    not: { pattern: "^[0.:]+$" },
    examples: ["127.0.0.1", "::1", "a1.internal"],
  },
  "InstanceSpec.port": PORT,
  "InstanceSpec.version": { ...VERSION, default: DEFAULT_VERSION },
  "InstanceSpec.weight": { ...WEIGHT, default: DEFAULT_WEIGHT },
  "InstanceSpec.zone": NAME_OR_NOTHING,
  "InstanceSpec.hostId": NAME_OR_NOTHING,
  "InstanceSpec.metadata": {
    propertyNames: { minLength: 1, not: { const: "__proto__" } },
    description: `Keys and values of at most ${MAX_METADATA_BYTES} bytes together`,
  },
  "Instance.port": PORT,
  "Instance.version": VERSION,
  "Instance.weight": WEIGHT,
  "InstanceSpec.ttl": durations(
    "[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}",
    "86400",
    "1 s to 24 h in whole ms; not set: permanent",
  ),
  "Route.version": range([0, MAX_VERSION]),
  "Route.stickyHeader": { ...NAME_OR_NOTHING, not: { type: "string", pattern: "^portolan-" } },
  "Route.split": { description: `Two or more versions, each once, whose shares add up to ${ALL}` },
  "Share.version": VERSION,
  "Share.share": range([0, ALL]),
  "ServiceSpec.localPort": PORT,
  "Check.path": {
    pattern: "^(?:/[!-~]*)?$",
    maxLength: MAX_CHECK_PATH,
    description: "For HTTP only. Empty: `/`",
  },
  "Check.interval": durations(
    "[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}",
    "0\\.[1-9][0-9]{0,2}|3600",
    "100 ms to 1 h in whole ms. Default 2 s",
  ),
  "Check.rise": { ...range([0, 100]), description: "0: the default, 2" },
  "Check.fall": { ...range([0, 100]), description: "0: the default, 3" },
  "Limits.maxConnections": { ...range(LIMIT_RANGE), description: "0: no limit" },
  "Limits.maxQueue": { ...range(LIMIT_RANGE), description: "0: no limit. Only with maxConnections" },
  "StatusCodes.codes": { items: range(STATUS_RANGE) },
  ...ranges("CallPolicy", POLICY_RANGES),
  ...ranges("RetryBudget", BUDGET_RANGES),
  "RenewRequest.leaseId": { pattern: "^[A-Za-z0-9._-]{1,64}$" },
};

/** Fields of requests that must be there. */
export const REQUIRED: ReadonlySet<string> = new Set([
  "InstanceSpec.host",
  "InstanceSpec.port",
  "Share.version",
  "RenewRequest.leaseId",
]);

/** Messages in responses that are always there; other ones may be left out. */
export const ALWAYS_SET: ReadonlySet<string> = new Set([
  "Alias.route",
  "FollowerState.follower",
  "FollowerState.scope",
  "HistoryResponse.time",
  "ListFollowersResponse.position",
  "Part.position",
]);

/** Fields of responses that are left out where there is nothing to say. */
export const LEFT_OUT: ReadonlySet<string> = new Set(["RegisterResponse.leaseId"]);

/** Fields of requests that only gRPC takes. */
export const GRPC_ONLY: ReadonlySet<string> = new Set(["RenewRequest.statuses"]);

/** What holds between the fields of a request's message. */
export const MESSAGES: Readonly<Record<string, Keywords>> = {
  Route: {
    description: "Either a version, or a split among versions.",
    anyOf: [
      {
        required: ["version"],
        properties: {
          version: { type: "integer", minimum: 1 },
          split: { maxItems: 0 },
          stickyHeader: { maxLength: 0 },
        },
      },
      {
        required: ["split"],
        properties: { version: { maximum: 0 }, split: { type: "array", minItems: 2 } },
      },
    ],
    examples: [
      { version: 42 },
      { split: [{ version: 41, share: 9_000 }, { version: 42, share: 1_000 }], stickyHeader: "x-user" },
    ],
  },
};
