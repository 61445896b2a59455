/** The HTTP API as an OpenAPI document, made from the contract: its messages, and the table of operations. */
import { VERSION } from "../../proto/version.ts";
import { type Operation, OPERATIONS } from "./openapi_operations.ts";
import {
  BODIES,
  type Body,
  type BodyName,
  HEADERS,
  PARAMETERS,
  PATH_PARAMETERS,
  PROBLEM,
  type Response,
  RESPONSES,
} from "./openapi_parts.ts";
import { messageSchemas, type Schema, schemaName, schemaRef } from "./openapi_schema.ts";

/** The document, version 3.1 of OpenAPI; the same for every control plane of a version. */
export function openApi(): Schema {
  return {
    openapi: "3.1.1",
    info: {
      title: "Portolan control plane",
      version: VERSION,
      description: ABOUT,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths: mapValues(OPERATIONS, (methods, path) => mapValues(methods, (one) => operationObject(path, one))),
    components: {
      schemas: schemas(),
      parameters: { ...PATH_PARAMETERS, ...PARAMETERS },
      headers: HEADERS,
      responses: mapValues(RESPONSES, responseObject),
    },
  };
}

const ABOUT =
  `The same operations as over gRPC, with the JSON mapping of protobuf and defaults written out. Responses may
get more fields with later versions; requests with fields or parameters that are not served are refused. GET includes
HEAD; a method that a path does not have is answered with \`#/components/responses/MethodNotAllowed\`.`;

/** Those that the path names and the operation does not explain. */
function pathParameters(path: string, explained: Operation["parameters"] = []): readonly string[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  return names.filter((name) =>
    !explained.some((one) => PARAMETERS[one].in === "path" && PARAMETERS[one].name === name)
  );
}

function parameterRef(name: string): Schema {
  return { $ref: `#/components/parameters/${name}` };
}

function operationObject(path: string, { id, tag, summary, body, answer, failures, ...more }: Operation): Schema {
  const parameters = [...pathParameters(path, more.parameters), ...more.parameters ?? []];
  const answered = {
    description: "As asked for",
    ...headersObject(answer.headers),
    content: typeof answer.body === "string"
      ? contentOf(answer.body)
      : jsonContent(schemaName(answer.body, "response")),
  };
  const failed = failures.map((name) => [RESPONSES[name].status, { $ref: `#/components/responses/${name}` }]);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(parameters.length > 0 && { parameters: parameters.map(parameterRef) }),
    ...(body && { requestBody: { required: true, content: jsonContent(schemaName(body, "request")) } }),
    responses: { 200: answered, ...Object.fromEntries(failed) },
  };
}

function responseObject({ description, headers, body = "Problem" }: Response): Schema {
  return { description, ...headersObject(headers), ...(body !== "none" && { content: contentOf(body) }) };
}

function headersObject(names: readonly string[] = []): Schema {
  const refs = names.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return refs.length > 0 ? { headers: Object.fromEntries(refs) } : {};
}

function contentOf(name: BodyName): Schema {
  const { type, schema }: Body = BODIES[name];
  return { [type]: schema ? { schema } : {} };
}

function jsonContent(name: string): Schema {
  return { "application/json": { schema: schemaRef(name) } };
}

function schemas(): Schema {
  const operations = Object.values(OPERATIONS).flatMap((methods) => Object.values(methods));
  const bodies: readonly Body[] = Object.values(BODIES);
  return {
    ...messageSchemas(operations.flatMap(({ body }) => body ?? []), "request"),
    ...messageSchemas(
      [
        ...operations.flatMap(({ answer: { body } }) => typeof body === "string" ? [] : body),
        ...bodies.flatMap(({ messages = [] }) => messages),
      ],
      "response",
    ),
    Problem: PROBLEM,
  };
}

function mapValues<T>(record: Readonly<Record<string, T>>, of: (value: T, key: string) => Schema): Schema {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, of(value, key)]));
}
