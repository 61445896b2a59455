/** The document of the HTTP API as its readers use it: its schemas hold values to what they say. */
import { Ajv2020 } from "ajv/dist/2020.js";
import { isIPv4, isIPv6 } from "node:net";
import { openApi } from "../../../control-plane/transport/openapi.ts";
import type { Schema } from "../../../control-plane/transport/openapi_schema.ts";

/** What tests look at. */
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
}

export const DOCUMENT = openApi() as unknown as Document;

/** What a schema does not allow of a value: nothing where it is valid. Throws where the schema is not one. */
export function validator(schema: Schema): (value: unknown) => string | undefined {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false });
  ajv.addFormat("ipv4", isIPv4).addFormat("ipv6", isIPv6).addFormat("date-time", true).addFormat("uri-reference", true);
  // References are to the document as a whole.
  ajv.addKeyword("components");
  const { components } = DOCUMENT;
  const validate = ajv.compile({ ...schema, components });
  return (value) => validate(value) ? undefined : ajv.errorsText(validate.errors);
}
