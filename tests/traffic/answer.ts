/** What an instance answers, and whether it is the answer to what was asked. */
import type { InstanceName } from "./ledger.ts";

/** Who answers, what request, and how many bytes of a body came with it. */
export function answerText({ service, id, version }: InstanceName, request: number, bytes = 0): string {
  return `${service} ${id} v${version} ${request} ${bytes}`;
}

/** Whether `text` answers this request, by an instance that `target` can mean. */
export function isAnswer(text: string, target: string, request: number, bytes = 0): boolean {
  const [service = "", , version = "", ...rest] = text.split(" ");
  return means(target, service, version) && rest.join(" ") === `${request} ${bytes}`;
}

/**
 * Whether a `Portolan-Service` of `SERVICE`, `vNUMBER.SERVICE` or `ALIAS.SERVICE` can mean this service and version.
 * Which version an alias leads to is not known here.
 */
export function means(target: string, service: string, version: string): boolean {
  const dot = target.indexOf(".");
  if (target.slice(dot + 1) !== service) return false;
  const label = target.slice(0, Math.max(dot, 0));
  return !/^v[0-9]+$/.test(label) || label === version;
}

/** What a stream says after its answer: one line for each 100 ms, and a last one when it is whole. */
export const TICK_MS = 100;
export const TICK = "tick\n";
export const LAST_LINE = "end\n";

/** The rest of a stream of so many ms. */
export function streamText(ms: number): string {
  return TICK.repeat(ticks(ms)) + LAST_LINE;
}

export function ticks(ms: number): number {
  return Math.floor(ms / TICK_MS);
}
