import type { Io } from "./command.ts";
import type { Output } from "./flags.ts";

/** Says what a write did: one line for people, the contract's answer for programs. */
export function wrote({ out }: Io, output: Output, what: string, revision: bigint): void {
  out(output === "json" ? JSON.stringify({ revision: `${revision}` }) + "\n" : `${what} (revision ${revision})\n`);
}
