/** `grpc.health.v1` and server reflection: what any gRPC tool asks a server for. */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { file_google_rpc_error_details } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.ts";

/** What is said of how the server is. */
export interface HealthWords {
  /** From now on what is said is what `serves` answers, until `stopping` is called. */
  follow(serves: () => boolean): void;
  stopping(): void;
}

/** Between two looks at how the server is, in ms. */
const LOOK_MS = 1_000;

/** Says of `services`, and of the server under the name "", that they serve. */
export function addHealthAndReflection(server: Server, services: readonly DescService[]): HealthWords {
  const names = ["", ...services.map(({ typeName }) => typeName)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, "SERVING"])));
  health.addToServer(server);
  // Refusals carry messages that no service names.
  const files = [...services.map(({ file }) => file), Health.file, file_google_rpc_error_details];
  new ReflectionService(described(files)).addToServer(server);
  let said = true;
  const say = (serving: boolean) => {
    if (serving === said) return;
    said = serving;
    for (const name of names) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  };
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    follow(serves) {
      say(serves());
      timer = setInterval(() => say(serves()), LOOK_MS);
    },
    stopping() {
      clearInterval(timer);
      say(false);
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
