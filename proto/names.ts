/**
 * The grammar of names, for all rooms: what users may call a realm, a service, an alias, an instance, a host.
 * Each `…Problem` answers `undefined` for good text, else what is wrong with it, to follow "Cannot use "x": ".
 */
import { isIP } from "node:net";

/** Shape of realms, services, aliases, instance ids, host ids and zones; without anchors, to build on. */
export const NAME = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";

/** Versions are numbers of deploys; the largest is what the wire carries (uint32). */
export const MAX_VERSION = 0xffff_ffff;

const WHOLE_NAME = new RegExp(`^${NAME}$`);
const HOST_NAME = new RegExp(`^${NAME}(?:\\.${NAME})*$`);
const HEADER = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const VERSION = /^v([1-9][0-9]{0,9})$/;

/** Realm, service, instance id, host id, zone. */
export function nameProblem(text: string): string | undefined {
  if (text === "") return "expected a name, not nothing";
  if (WHOLE_NAME.test(text)) return undefined;
  if (/[A-Z]/.test(text)) return "expected lower case";
  if (text.length > 63) return `expected at most 63 characters, not ${text.length}`;
  return "expected a-z, 0-9 and inner hyphens";
}

/** An alias is a name that cannot be taken for a version. */
export function aliasProblem(text: string): string | undefined {
  if (/^v[0-9]+$/.test(text)) return "expected an alias, not the form of a version";
  return nameProblem(text);
}

/** An IP literal or a DNS name, in lower case, that can be called. */
export function hostProblem(text: string): string | undefined {
  if (text === "") return "expected an IP address or a DNS name, not nothing";
  if (/[A-Z]/.test(text)) return "expected lower case";
  if (isIP(text) !== 0 && !text.includes("%")) return /^[0.:]+$/.test(text) ? UNSPECIFIED : undefined;
  if (text.length > 253 || !HOST_NAME.test(text)) return "expected an IP address or a DNS name";
  // Resolvers take such names for odd spellings of IPv4 addresses.
  if (/(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/.test(text)) return "expected an IP address of four numbers below 256";
  return undefined;
}

const UNSPECIFIED = "expected an address to call, not the one that means all interfaces";

/** A request header that can make a split sticky: lower case, and none that the proxy or a hop sets itself. */
export function stickyHeaderProblem(text: string): string | undefined {
  if (!HEADER.test(text)) return "expected the name of a request header in lower case: a-z, 0-9 and inner hyphens";
  if (text.startsWith("portolan-") || HOP_HEADERS.has(text)) return "expected a header that callers set for a user";
  return undefined;
}

const HOP_HEADERS = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** `v42` → 42; `undefined` for anything that is not `v` and a number from 1. */
export function versionOfName(text: string): number | undefined {
  const version = Number(VERSION.exec(text)?.[1]);
  return version <= MAX_VERSION ? version : undefined;
}

/** What callers write before the service's name, `canary` in `canary.identity`: an alias or a version. */
export function qualifierProblem(text: string): string | undefined {
  return versionOfName(text) === undefined ? aliasProblem(text) : undefined;
}
