/** Flags that several commands share. */
import { type Address, address, type Flag, type Flags, formatAddress, list, Problem, text } from "../proto/settings.ts";

export type Output = "table" | "json";

const controlPlane: Flag<readonly string[]> = {
  hint: "HOST:PORT,…",
  help: "The control plane's gRPC address; of several the first that is reached",
  env: "PORTOLAN_CONTROL_PLANE",
  fallback: "127.0.0.1:7401",
  parse: (value) => {
    const addresses = list<Address>(address)(value);
    if (addresses instanceof Problem) return addresses;
    return addresses.length > 0 ? addresses.map(formatAddress) : new Problem("expected HOST:PORT");
  },
};

const realm: Flag<string> = {
  hint: "REALM",
  help: "The realm to read and write",
  env: "PORTOLAN_REALM",
  fallback: "local",
  parse: text,
};

const output: Flag<Output> = {
  hint: "json|table",
  help: "What to print: for programs or for people",
  fallback: "table",
  parse: (value) => value === "json" || value === "table" ? value : new Problem("expected json or table"),
};

const reason: Flag<string> = { hint: "TEXT", help: "Why, for the history", parse: (value) => value ?? "" };

/** Of every command that reads the map. */
export const READ = { realm, output, controlPlane } satisfies Flags;

/** Of every command that writes to it. */
export const WRITE = { realm, reason, output, controlPlane } satisfies Flags;
