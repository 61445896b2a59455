/** Messages of the contract as JSON Schemas: what their descriptors say, and what the table of fields adds. */
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { ALWAYS_SET, FIELDS, GRPC_ONLY, LEFT_OUT, MESSAGES, REQUIRED } from "./openapi_fields.ts";

/** A JSON Schema of draft 2020-12. */
export type Schema = { readonly [keyword: string]: unknown };

/** Requests are strict, and null is the same as leaving a field out. Responses write defaults out. */
type Use = "request" | "response";

/** Where a message's schema stands in the document: some are in requests and responses. */
export function schemaName({ name }: DescMessage, use: Use): string {
  return use === "request" ? `${name.replace(/Request$/, "")}Input` : name;
}

export function schemaRef(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Schemas of messages and of all that they hold, by name. */
export function messageSchemas(messages: Iterable<DescMessage>, use: Use): Readonly<Record<string, Schema>> {
  const schemas: Record<string, Schema> = {};
  const add = (message: DescMessage) => {
    const name = schemaName(message, use);
    if (message.typeName in WELL_KNOWN || name in schemas) return;
    schemas[name] = messageSchema(message, use);
    for (const field of fieldsOf(message, use)) if (field.message) add(field.message);
  };
  for (const message of messages) add(message);
  return schemas;
}

function messageSchema(message: DescMessage, use: Use): Schema {
  const fields = fieldsOf(message, use);
  const required = fields.filter((field) => isRequired(field, use)).map(({ jsonName }) => jsonName);
  const properties = fields.map((field) => [field.jsonName, fieldSchema(field, use)]);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    ...(use === "request" && { additionalProperties: false, ...MESSAGES[message.name] }),
  };
}

function fieldsOf({ fields }: DescMessage, use: Use): readonly DescField[] {
  return use === "request" ? fields.filter((field) => !GRPC_ONLY.has(keyOf(field))) : fields;
}

/** In the table of fields. */
function keyOf({ parent, jsonName }: DescField): string {
  return `${parent.name}.${jsonName}`;
}

function isRequired(field: DescField, use: Use): boolean {
  if (use === "request") return REQUIRED.has(keyOf(field));
  if (LEFT_OUT.has(keyOf(field))) return false;
  return field.presence === FeatureSet_FieldPresence.IMPLICIT || ALWAYS_SET.has(keyOf(field));
}

function fieldSchema(field: DescField, use: Use): Schema {
  const { items, ...whole } = FIELDS[keyOf(field)] ?? {};
  const item = { ...itemSchema(field, use), ...items };
  const schema = field.fieldKind === "list"
    ? { type: "array", items: item, ...whole }
    : field.fieldKind === "map"
    ? { type: "object", additionalProperties: item, ...whole }
    : { ...item, ...whole };
  return use === "response" || isRequired(field, use) ? schema : orNull(schema);
}

/** Of the field, or of one in a list or map. */
function itemSchema(field: DescField, use: Use): Schema {
  if (field.message) return WELL_KNOWN[field.message.typeName] ?? schemaRef(schemaName(field.message, use));
  if (field.enum) return { type: "string", enum: wordsOf(field.enum) };
  return scalarSchema(field.scalar ?? ScalarType.STRING, use);
}

/** What is not set is nothing to say. */
function wordsOf({ values }: DescEnum): readonly string[] {
  return values.filter(({ number }) => number !== 0).map(({ name }) => name);
}

function scalarSchema(type: ScalarType, use: Use): Schema {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.UINT32:
      return { type: "integer", minimum: 0, maximum: 0xffff_ffff };
    case ScalarType.UINT64: {
      const text = { type: "string", pattern: "^[0-9]{1,19}$" };
      const number = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
      return use === "request" ? { anyOf: [text, number] } : text;
    }
    default:
      throw new Error(`Cannot describe a field of scalar type ${ScalarType[type]}: no message of the contract has one`);
  }
}

/** Messages that JSON shows as texts. */
const WELL_KNOWN: Readonly<Record<string, Schema>> = {
  "google.protobuf.Duration": { type: "string", pattern: "^[0-9]{1,12}(?:\\.[0-9]{1,9})?s$", examples: ["15s"] },
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
};

function orNull(schema: Schema): Schema {
  const { type, enum: words } = schema;
  if (Array.isArray(words)) return { ...schema, type: [type, "null"], enum: [...words, null] };
  if (typeof type === "string") return { ...schema, type: [type, "null"] };
  return { anyOf: [schema, { type: "null" }] };
}
