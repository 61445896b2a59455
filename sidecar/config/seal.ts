/**
 * Ends a file with what it was made from and a checksum, as comments: the sidecar that finds it knows that it is whole,
 * and which map it is of.
 */
import { crc32 } from "node:zlib";
import { comparePositions } from "../../proto/position.ts";

export interface Sealed {
  readonly body: string;
  /** `epoch.revision` of the map that it says, or `none`. */
  readonly position: string;
}

/** The file: body, position, checksum. */
export function seal({ body, position }: Sealed): string {
  const sealed = `${body}# position ${position}\n`;
  return `${sealed}# crc32 ${checksum(sealed)}\n`;
}

/** What was sealed; `undefined` if the file is not whole, or not one of ours. */
export function unseal(text: string): Sealed | undefined {
  const [end, position, sum] = /# position (none|[0-9]+\.[0-9]+)\n# crc32 ([0-9a-f]{8})\n$/.exec(text) ?? [];
  if (end === undefined || position === undefined) return undefined;
  const body = text.slice(0, -end.length);
  return checksum(`${body}# position ${position}\n`) === sum ? { body, position } : undefined;
}

/** The later of two positions. */
export function later(a: string, b: string): string {
  return comparePositions(pointOf(a), pointOf(b)) > 0 ? a : b;
}

/** A position of a file, to compare; `none` is before all others. */
export function pointOf(position: string): { readonly epoch: bigint; readonly revision: bigint } {
  const [epoch = "0", revision = "0"] = position === "none" ? [] : position.split(".");
  return { epoch: BigInt(epoch), revision: BigInt(revision) };
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
