/** What a control plane can be told, by flags, environment or file. */
import {
  address,
  flag,
  type Flags,
  integer,
  isLoopback,
  loadSettings,
  Problem,
  type Settings,
  type Sources,
  text,
} from "../proto/settings.ts";

export type StoreChoice = { readonly kind: "memory" } | { readonly kind: "sqlite"; readonly path?: string };

export const FLAGS = {
  http: {
    hint: "HOST:PORT",
    help: "Where HTTP is served",
    env: "PORTOLAN_HTTP",
    fallback: "127.0.0.1:7400",
    parse: address,
  },
  grpc: {
    hint: "HOST:PORT",
    help: "Where gRPC is served",
    env: "PORTOLAN_GRPC",
    fallback: "127.0.0.1:7401",
    parse: address,
  },
  store: {
    hint: "STORE",
    help: "Where the map is kept: sqlite: (a file in the data folder), sqlite:PATH, or memory:",
    env: "PORTOLAN_STORE",
    fallback: "sqlite:",
    parse: parseStore,
  },
  data: { hint: "DIR", help: "The data folder", env: "PORTOLAN_DATA", fallback: ".portolan", parse: text },
  maxWatches: {
    hint: "N",
    help: "Watches and renewals that one address may have at once",
    env: "PORTOLAN_MAX_WATCHES",
    fallback: "10000",
    parse: integer(1, 9_999_999),
  },
  maxRequests: {
    hint: "N",
    help: "Other requests that one address may have under way at once; a long answer over HTTP counts twice",
    env: "PORTOLAN_MAX_REQUESTS",
    fallback: "1000",
    // A request that waits, or answers at length, keeps its own place while it asks for another.
    parse: integer(2, 9_999_999),
  },
  insecure: {
    hint: "",
    help: "Serve addresses that other machines reach although nobody must show who they are",
    parse: flag,
  },
} satisfies Flags;

export type ControlPlaneSettings = Settings<typeof FLAGS>;

/** All problems at once, those between settings included. */
export function loadControlPlaneSettings(sources: Sources) {
  const loaded = loadSettings(FLAGS, sources);
  if (loaded.kind !== "settings") return loaded;
  const { settings, positionals } = loaded;
  const problems = positionals.map((word) => `Unexpected argument "${word}"`);
  for (const listener of ["http", "grpc"] as const) {
    if (settings.insecure || isLoopback(settings[listener])) continue;
    problems.push(
      `--${listener} "${
        settings[listener].host
      }": other machines reach it and no credentials are configured; say --insecure to serve it all the same`,
    );
  }
  return problems.length > 0 ? { kind: "problems" as const, problems } : loaded;
}

function parseStore(value: string | undefined): StoreChoice | Problem {
  const [, kind, rest] = /^([a-z]+):(.*)$/s.exec(value ?? "") ?? [];
  if (kind === "memory" && rest === "") return { kind };
  if (kind === "sqlite") return rest ? { kind, path: rest } : { kind };
  if (kind === "etcd") return new Problem("etcd is not served yet: use sqlite:");
  return new Problem("expected sqlite:, sqlite:PATH or memory:");
}
