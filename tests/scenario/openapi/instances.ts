/** Values that a JSON Schema of the document allows, by chance. */
import fc from "fast-check";
import type { Schema } from "../../../control-plane/transport/openapi_schema.ts";

/** The keywords that schemas of requests use. */
interface Keywords {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly anyOf?: readonly Keywords[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Keywords;
  readonly properties?: Readonly<Record<string, Keywords>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Keywords;
}

/**
 * Values of `schema`, whose references are names of `schemas`; nearly all of them are allowed by it, the others break a
 * keyword that only forbids.
 */
export function instancesOf(schema: Schema, schemas: Readonly<Record<string, Schema>>): fc.Arbitrary<unknown> {
  const of = (keywords: Keywords): fc.Arbitrary<unknown> => {
    const { $ref, anyOf = [], enum: words, type } = keywords;
    if ($ref !== undefined) return of(schemas[$ref.slice("#/components/schemas/".length)] as Keywords);
    if (words) return fc.constantFrom(...words);
    // Alternatives of an object say what its fields must be beside what they may be.
    if (anyOf.length > 0 && type !== "object") return fc.oneof(...anyOf.map((one) => of({ type, ...one } as Keywords)));
    const types = Array.isArray(type) ? type : [type];
    return fc.oneof(...types.map((one) => typed(one, keywords, of)));
  };
  return of(schema as Keywords);
}

function typed(type: string, keywords: Keywords, of: (keywords: Keywords) => fc.Arbitrary<unknown>) {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER, items = {}, minItems = 0, maxItems = 4 } = keywords;
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.oneof(fc.constantFrom(minimum, maximum), fc.integer({ min: minimum, max: maximum }));
    case "string":
      return text(keywords);
    case "array":
      return fc.array(of(items), { minLength: minItems, maxLength: maxItems });
    case "object":
      return object(keywords, of);
    default:
      throw new Error(`Cannot make a value of type ${type}: no schema of a request has it`);
  }
}

function text({ pattern, format, maxLength }: Keywords): fc.Arbitrary<string> {
  if (maxLength === 0) return fc.constant("");
  if (format === "ipv4") return fc.ipV4();
  if (format === "ipv6") return fc.ipV6();
  return pattern === undefined ? fc.string({ unit: "grapheme" }) : fc.stringMatching(new RegExp(pattern));
}

function object(keywords: Keywords, of: (keywords: Keywords) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties, required = [], anyOf = [], additionalProperties } = keywords;
  if (additionalProperties) {
    return fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), of(additionalProperties));
  }
  const all = Object.entries(properties ?? {});
  const recordOf = (more: Keywords) => {
    const fields = all.map(([name, one]): [string, Keywords] => [name, { ...one, ...more.properties?.[name] }]);
    return fc.record(Object.fromEntries(fields.map(([name, one]) => [name, of(one)])), {
      requiredKeys: [...required, ...more.required ?? []],
    });
  };
  return anyOf.length > 0 ? fc.oneof(...anyOf.map(recordOf)) : recordOf({});
}
