/** A client that knows nothing of the contract but what the server says of it: reflection, as tools use it. */
import {
  create,
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";

// What every tool brings along: the reflection protocol itself, as far as it is used here.
const field = (type: string, id: number, rule?: string) => ({ type, id, ...(rule && { rule }) });
const REFLECTION = fromJSON({
  nested: {
    ServerReflectionRequest: {
      oneofs: { message_request: { oneof: ["file_by_filename", "file_containing_symbol", "list_services"] } },
      fields: {
        file_by_filename: field("string", 3),
        file_containing_symbol: field("string", 4),
        list_services: field("string", 7),
      },
    },
    ServerReflectionResponse: {
      fields: {
        file_descriptor_response: field("FileDescriptorResponse", 4),
        list_services_response: field("ListServiceResponse", 6),
        error_response: field("ErrorResponse", 7),
      },
    },
    FileDescriptorResponse: { fields: { file_descriptor_proto: field("bytes", 1, "repeated") } },
    ListServiceResponse: { fields: { service: field("ServiceResponse", 1, "repeated") } },
    ServiceResponse: { fields: { name: field("string", 1) } },
    ErrorResponse: { fields: { error_code: field("int32", 1), error_message: field("string", 2) } },
    ServerReflection: {
      methods: {
        ServerReflectionInfo: {
          requestType: "ServerReflectionRequest",
          requestStream: true,
          responseType: "ServerReflectionResponse",
          responseStream: true,
          comment: "",
        },
      },
    },
  },
}, { keepCase: true });

type Asked = { list_services: string } | { file_containing_symbol: string } | { file_by_filename: string };
interface Reflected {
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] };
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly error_response?: { readonly error_code: number };
}

/** `version` is the one of the reflection protocol. */
export function reflectedClient(address: string, version: "v1" | "v1alpha" = "v1") {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.client_idle_timeout_ms": 1_000 });
  const info = (REFLECTION["ServerReflection"] as grpc.ServiceDefinition)["ServerReflectionInfo"];
  const { requestSerialize, responseDeserialize } = info as grpc.MethodDefinition<Asked, Reflected>;
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  return {
    async ask(asked: Asked): Promise<Reflected> {
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      call.write(asked);
      call.end();
      const answers: Reflected[] = [];
      for await (const answer of call) answers.push(answer);
      return answers[0] as Reflected;
    },
    /** A stream of a method, in JSON, whatever its kind: one that takes one message is sent one. */
    open({ parent, name, input, output }: DescMethod) {
      return client.makeBidiStreamRequest<JsonValue, JsonValue>(
        `/${parent.typeName}/${name}`,
        (json) => Buffer.from(toBinary(input, fromJson(input, json))),
        (bytes) => toJson(output, fromBinary(output, bytes), { alwaysEmitImplicit: true }),
      );
    },
    [Symbol.dispose]: () => client.close(),
  };
}

export type ReflectedClient = ReturnType<typeof reflectedClient>;

/** What the server serves, and the files that describe it, and `symbols`, by name. */
export async function reflectedFiles(client: ReflectedClient, ...symbols: string[]) {
  const listed = (await client.ask({ list_services: "" })).list_services_response?.service ?? [];
  const files = new Map<string, FileDescriptorProto>();
  for (const file_containing_symbol of [...listed.map(({ name }) => name), ...symbols]) {
    const { file_descriptor_response: found } = await client.ask({ file_containing_symbol });
    for (const bytes of found?.file_descriptor_proto ?? []) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
  }
  return { services: listed.map(({ name }) => name).sort(), files };
}

/** Types and services of files. Fails where a file needs one that is not among them. */
export function registryOf(files: ReadonlyMap<string, FileDescriptorProto>): FileRegistry {
  const sorted = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto) => {
    for (const name of file.dependency) {
      const needed = files.get(name);
      if (!needed) throw new Error(`Cannot use ${file.name}: the server does not describe ${name}`);
      add(needed);
    }
    sorted.add(file);
  };
  for (const file of files.values()) add(file);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...sorted] }));
}
