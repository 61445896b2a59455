/** `grpc.health.v1` and server reflection: what any gRPC tool asks a server for. */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { file_google_rpc_error_details } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.ts";

/** Says of `services`, and of the server under the name "", that they serve, until `stopping` is called. */
export function addHealthAndReflection(server: Server, services: readonly DescService[]): { stopping(): void } {
  const names = ["", ...services.map(({ typeName }) => typeName)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, "SERVING"])));
  health.addToServer(server);
  // Refusals carry messages that no service names.
  const files = [...services.map(({ file }) => file), Health.file, file_google_rpc_error_details];
  new ReflectionService(described(files)).addToServer(server);
  return {
    stopping() {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
    },
  };
}

/** Descriptors in the form that the reflection service takes: it reads nothing else of a package's definition. */
function described(roots: readonly DescFile[]): ConstructorParameters<typeof ReflectionService>[0] {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    file.dependencies.forEach(add);
    files.set(file.name, file);
  };
  roots.forEach(add);
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto))
  );
  return { described: { fileDescriptorProtos } as never };
}
