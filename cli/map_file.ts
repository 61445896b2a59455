/** A realm as a file: what `export` writes and `import` reads. */
import {
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Position, type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { positionJson, serviceJson } from "./format.ts";

const FORMAT = "portolan-map/1";

/** A realm at one position. */
interface RealmAt {
  readonly realm: string;
  readonly position: Position;
  readonly services: readonly Service[];
}

/** The text of a file, in pieces: JSON with a service a line, so that lines can be compared. */
export function* mapText({ realm, position, services }: RealmAt): Iterable<string> {
  const head = { format: FORMAT, realm, position: positionJson(position) };
  yield `${JSON.stringify(head).slice(0, -1)},"services":[`;
  for (const [i, service] of services.entries()) yield `${i === 0 ? "" : ","}\n${JSON.stringify(serviceJson(service))}`;
  yield `\n]}\n`;
}

/** What a file says, as far as an import needs it. */
interface ReadMap {
  readonly realm: string;
  readonly services: readonly Service[];
}

/** What is wrong with a file: follows `Cannot import FILE: `. */
export class MapProblem {
  constructor(readonly text: string) {}
}

/** Reads a file. Checks its form: what names and numbers may be is the server's to say. */
export function readMapText(text: string): ReadMap | MapProblem {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    // Says where: "… in JSON at position 25 (line 2 column 3)".
    return new MapProblem((error as Error).message);
  }
  if (!isObject(file) || file["format"] !== FORMAT) {
    return new MapProblem(`expected a file that ./portolan export has written, with "format":"${FORMAT}"`);
  }
  const { realm, services, position: _, format: __, ...more } = file;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) return new MapProblem(`${unknown}: unknown field`);
  if (typeof realm !== "string") return new MapProblem("realm: expected a text");
  if (!Array.isArray(services)) return new MapProblem("services: expected a list");
  const names = new Set<string>();
  const read: Service[] = [];
  for (const [i, json] of (services as JsonValue[]).entries()) {
    const where = `services[${i}]${isObject(json) && typeof json["name"] === "string" ? ` "${json["name"]}"` : ""}`;
    const service = decoded(ServiceSchema, json);
    if (service instanceof MapProblem) return new MapProblem(`${where}: ${deepest(ServiceSchema, json, "")}`);
    if (service.name === "") return new MapProblem(`${where}: name: expected one`);
    if (names.has(service.name)) return new MapProblem(`${where}: expected each service once`);
    names.add(service.name);
    read.push(service);
  }
  return { realm, services: read };
}

/** Services in groups that each fit into a message of `most` bytes; one that is larger is a group of its own. */
export function inGroups(services: readonly Service[], most: number): readonly (readonly Service[])[] {
  const groups: Service[][] = [];
  let room = 0;
  for (const service of services) {
    // A tag and a length come with each.
    const size = toBinary(ServiceSchema, service).length + 8;
    if (size > room) {
      groups.push([]);
      room = most;
    }
    groups.at(-1)?.push(service);
    room -= size;
  }
  return groups;
}

function decoded<M extends DescMessage>(schema: M, json: JsonValue): MessageShape<M> | MapProblem {
  try {
    return fromJson(schema, json);
  } catch (error) {
    return new MapProblem((error as Error).message);
  }
}

/** What is wrong, with the path to the innermost field that is; the library names the message alone. */
function deepest(schema: DescMessage, json: JsonValue, path: string): string {
  const inside = (name: string) => path ? `${path}.${name}` : name;
  for (const field of isObject(json) ? schema.fields : []) {
    const name = inside(field.jsonName);
    const value = (json as JsonObject)[field.jsonName];
    if (field.enum && typeof value === "string" && !field.enum.values.some(({ name }) => name === value)) {
      return `${name}: expected one of ${field.enum.values.map(({ name }) => name).join(", ")}`;
    }
    if (!field.message || value === undefined) continue;
    const items = Array.isArray(value)
      ? value.map((item, i) => [item, `${name}[${i}]`] as const)
      : [[value, name] as const];
    for (const [item, path] of items) {
      if (decoded(field.message, item) instanceof MapProblem) return deepest(field.message, item, path);
    }
  }
  const problem = decoded(schema, json);
  const text = problem instanceof MapProblem ? problem.text : "";
  // `cannot decode field portolan.v1.Instance.port from JSON: expected …`
  const [, field, why] = /^cannot decode field \S+\.(\w+) from JSON: (.*)$/s.exec(text) ?? [];
  if (field !== undefined) {
    return `${inside(schema.fields.find(({ name }) => name === field)?.jsonName ?? field)}: ${why}`;
  }
  return [...(path ? [path] : []), text.replace(/^cannot decode message \S+ from JSON: /, "")].join(": ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
