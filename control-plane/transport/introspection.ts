/** `grpc.health.v1` and server reflection: what any gRPC tool asks a server for. */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, protoPath } from "grpc-health-check";

/** Says of `services`, and of the server under the name "", that they serve, until `stopping` is called. */
export function addHealthAndReflection(server: Server, services: readonly DescService[]): { stopping(): void } {
  const names = ["", ...services.map(({ typeName }) => typeName)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, "SERVING"])));
  health.addToServer(server);
  new ReflectionService(described(services)).addToServer(server);
  return {
    stopping() {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
    },
  };
}

/** The descriptors of services, in the form that the reflection service takes. */
function described(services: readonly DescService[]): PackageDefinition {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    file.dependencies.forEach(add);
    files.set(file.name, file);
  };
  services.forEach(({ file }) => add(file));
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto))
  );
  // The reflection service reads nothing but the descriptors.
  return { ...loadSync(protoPath), portolan: { fileDescriptorProtos } as never };
}
