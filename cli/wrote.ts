import type { Io } from "./command.ts";
import type { Output } from "./flags.ts";

/** Says what a write did: one line for people, the contract's answer for programs, with what else is in it. */
export function wrote(
  { out }: Io,
  output: Output,
  what: string,
  revision: bigint,
  more: Readonly<Record<string, unknown>> = {},
): void {
  out(
    output === "json"
      ? JSON.stringify({ revision: `${revision}`, ...more }) + "\n"
      : `${what} (revision ${revision})\n`,
  );
}
