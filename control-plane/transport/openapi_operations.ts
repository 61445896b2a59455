/** Every operation of the HTTP API as the document shows it, by path and method. */
import type { DescMessage } from "@bufbuild/protobuf";
import { AliasSchema, InstanceSchema, RouteSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { ServiceSchema, ServiceSpecSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { InstanceSpecSchema, RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import type { BodyName, HeaderName, ParameterName, ResponseName } from "./openapi_parts.ts";

/** What an operation takes and answers; its path's own parameters are not listed. */
export interface Operation {
  /** Its name for generators of clients. */
  readonly id: string;
  readonly tag: "map" | "registry" | "fleet" | "server";
  readonly summary: string;
  readonly parameters?: readonly ParameterName[];
  readonly body?: DescMessage;
  readonly answer: Answer;
  /** Besides the answer. */
  readonly failures: readonly ResponseName[];
}

/** The response with status 200. */
export interface Answer {
  /** A message as JSON, or one of the other bodies. */
  readonly body: DescMessage | BodyName;
  readonly headers?: readonly HeaderName[];
}

type Operations = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const REALM = "/api/v1/realms/{realm}";
const SERVICE = `${REALM}/services/{service}`;
const INSTANCE = `${SERVICE}/instances/{id}`;
const ALIAS = `${SERVICE}/aliases/{alias}`;
const HOST = `${REALM}/hosts/{hostId}`;

const { method: registry } = RegistryService;
const { method: fleet } = FleetService;

/** Of everything that concerns a realm. */
const ALL_FAIL = ["BadRequest", "TooManyRequests", "InternalError", "Unavailable"] as const;

type Of = Pick<Operation, "id" | "summary">;

/** Many resources at one position. */
function list(of: Of): Operation {
  const answer = { body: "Services", headers: ["Portolan-Position"] } as const;
  return { ...of, tag: "map", parameters: ["minRevision", "at"], answer, failures: [...ALL_FAIL, "Gone"] };
}

/** One resource, which has an ETag. */
function one(of: Of, body: DescMessage): Operation {
  const answer = { body, headers: ["ETag", "Portolan-Position"] } as const;
  return { ...of, tag: "map", parameters: ["minRevision", "at"], answer, failures: [...ALL_FAIL, "NotFound", "Gone"] };
}

/** One resource that changes with its ETag only. */
function oneWhole(of: Of, body: DescMessage): Operation {
  const { parameters = [], failures, ...operation } = one(of, body);
  return { ...operation, parameters: [...parameters, "ifChanged"], failures: [...failures, "NotModified"] };
}

type Write = Partial<Pick<Operation, "body" | "parameters" | "failures">> & {
  readonly method: { readonly output: DescMessage };
};

/** A change that ends the same however often it is asked for, so that nobody names it. */
function writeUnnamed(of: Of, tag: Operation["tag"], { method, parameters = [], failures = [], ...more }: Write) {
  return {
    ...of,
    tag,
    parameters: [...parameters, "reason"],
    answer: { body: method.output, headers: ["Portolan-Revision"] },
    failures: [...ALL_FAIL, "Conflict", "TooLarge", ...failures],
    ...more,
  } as const satisfies Operation;
}

/** A change of the map, perhaps of many resources. */
function write(of: Of, { parameters = [], ...more }: Write): Operation {
  const failures = more.body ? [] : ["NotFound" as const];
  return writeUnnamed(of, "registry", { failures, ...more, parameters: ["operation", ...parameters] });
}

/** A change of one resource, which can be at a revision that its writer expects. */
function writeOne(of: Of, change: Write): Operation {
  const { parameters = [], failures, ...operation } = write(of, change);
  return { ...operation, parameters: [...parameters, "ifMatch"], failures: [...failures, "PreconditionFailed"] };
}

/** A change of one resource that may also create it, and that answers with its ETag. */
function put(of: Of, change: Write): Operation {
  const { parameters = [], answer: { body, headers = [] }, ...operation } = writeOne(of, change);
  return { ...operation, parameters: [...parameters, "ifNoneMatch"], answer: { body, headers: [...headers, "ETag"] } };
}

/** `:enable`, `:disable` and `:drain` of what a path names. */
function switches(path: string, id: string, what: string, { change = writeOne, drain = writeOne } = {}): Operations {
  const post = (verb: string, does: string, method: Write["method"], make = change) => ({
    [`${path}:${verb}`]: { post: make({ id: `${verb}${id}`, summary: does }, { method }) },
  });
  return {
    ...post("enable", `Switches ${what} on`, registry.setEnabled),
    ...post("disable", `Switches ${what} off`, registry.setEnabled),
    ...post("drain", `Lets ${what} leave: no new calls, those under way may end`, registry.drain, drain),
  };
}

const MAP: Operations = {
  [`${REALM}/map`]: {
    get: list({ id: "getMap", summary: "The map of a realm, as it is or as it was" }),
  },
  [`${REALM}/services`]: {
    get: list({ id: "listServices", summary: "The services of a realm" }),
  },
  [`${REALM}/watch`]: {
    get: {
      id: "watch",
      tag: "map",
      summary: "Follows the map: server-sent events; the `id` on an update's last part resumes",
      parameters: ["services", "afterPosition", "lastEventId"],
      answer: { body: "Events" },
      failures: ALL_FAIL,
    },
  },
};

const SERVICES: Operations = {
  [SERVICE]: {
    get: one({ id: "getService", summary: "A service with its instances and aliases" }, ServiceSchema),
    put: put(
      { id: "putService", summary: "Replaces a service's own fields; creates it if need be" },
      { method: registry.putService, body: ServiceSpecSchema },
    ),
    delete: writeOne(
      { id: "deleteService", summary: "Removes a service with all of it" },
      { method: registry.deleteService, parameters: ["force"] },
    ),
  },
  ...switches(SERVICE, "Service", "a service", { drain: write }),
};

const INSTANCES: Operations = {
  [INSTANCE]: {
    get: oneWhole({ id: "getInstance", summary: "An instance" }, InstanceSchema),
    put: put(
      { id: "register", summary: "Registers an instance; creates its service if need be" },
      { method: registry.register, body: InstanceSpecSchema },
    ),
    delete: writeOne({ id: "deregister", summary: "Removes an instance" }, { method: registry.deregister }),
  },
  ...switches(INSTANCE, "Instance", "an instance"),
  [`${INSTANCE}:renew`]: {
    post: {
      id: "renew",
      tag: "registry",
      summary: "A beat of the lease that holds an instance: three per `ttl` keep it on the map",
      body: registry.renew.input,
      answer: { body: registry.renew.output },
      failures: [...ALL_FAIL, "NotFound", "TooLarge"],
    },
  },
  ...switches(HOST, "Host", "all instances of a host", { change: write, drain: write }),
  [`${REALM}/held:release`]: {
    post: writeUnnamed(
      { id: "releaseHeld", summary: "Removes the instances that are held: their leases ran out with too many others" },
      "registry",
      { method: registry.releaseHeld },
    ),
  },
};

const ALIASES: Operations = {
  [ALIAS]: {
    get: oneWhole({ id: "getAlias", summary: "An alias" }, AliasSchema),
    put: put(
      { id: "putAlias", summary: "Sets where an alias leads; creates alias and service if need be" },
      { method: registry.putAlias, body: RouteSchema },
    ),
    delete: writeOne({ id: "deleteAlias", summary: "Removes an alias" }, { method: registry.deleteAlias }),
  },
};

const FLEET: Operations = {
  [`${REALM}/history`]: {
    get: {
      id: "history",
      tag: "fleet",
      summary: "Who changed what, when and why, oldest first",
      parameters: ["ofService", "afterRevision", "ofOperation", "limit"],
      answer: { body: "History" },
      failures: ALL_FAIL,
    },
  },
  [`${REALM}/followers`]: {
    get: {
      id: "listFollowers",
      tag: "fleet",
      summary: "Who follows the map, and how far they are",
      answer: { body: fleet.listFollowers.output, headers: ["Portolan-Position"] },
      failures: ALL_FAIL,
    },
  },
  [`${REALM}/followers/{id}`]: {
    delete: writeUnnamed(
      { id: "forgetFollower", summary: "Takes a sidecar that will not come back off the roster" },
      "fleet",
      { method: fleet.forgetFollower, parameters: ["follower"], failures: ["NotFound"] },
    ),
  },
  [`${REALM}/wait`]: {
    get: {
      id: "waitForRevision",
      tag: "fleet",
      summary: "Waits until everybody who counts routes by the map at a revision, or names those that do not",
      parameters: ["revision", "timeout"],
      answer: { body: fleet.waitForRevision.output },
      failures: ALL_FAIL,
    },
  },
};

const server = (id: string, summary: string, body: BodyName, ...failures: Operation["failures"]) => ({
  get: { id, tag: "server", summary, answer: { body }, failures: ["TooManyRequests", ...failures] } as const,
});

const SERVER: Operations = {
  "/api/v1/openapi.json": server("openApi", "This document", "Document", "BadRequest"),
  "/api/v1/backup": server(
    "backup",
    "A copy of the store, as of one revision",
    "Backup",
    "BadRequest",
    "InternalError",
  ),
  "/healthz": server("healthz", "Whether the control plane is alive", "Alive"),
  "/readyz": server("readyz", "Whether it serves as promised, or why not", "Ready", "NotReady"),
  "/metrics": server("metrics", "Figures for Prometheus", "Metrics"),
};

export const OPERATIONS: Operations = { ...MAP, ...SERVICES, ...INSTANCES, ...ALIASES, ...FLEET, ...SERVER };
