import { nameProblem, qualifierProblem } from "../proto/names.ts";

/** What a `service://` URL asks for. */
export interface Address {
  readonly kind: "address";
  readonly service: string;
  /** Alias or version before the service's name; `live` is left out, being what callers get who name none. */
  readonly qualifier: string | undefined;
  /** The name as callers write it: `identity`, `canary.identity`, `v42.identity`. */
  readonly route: string;
  /** Path, query and fragment, untouched but for a `/` where there is no path. */
  readonly rest: string;
}

/** Why a text is no address, as a sentence. */
export interface NoAddress {
  readonly kind: "refused";
  readonly reason: string;
}

/** Whether a text means to be a `service://` URL, however badly it is written. */
export function isServiceUrl(text: string): boolean {
  return /^service:/i.test(text);
}

/**
 * Reads `service://[alias-or-version.]service/path?query#fragment`; the grammar of names is proto/names.ts's. Goes before
 * any URL library: they differ in what they do to upper case and to odd hosts.
 */
export function parseAddress(text: string): Address | NoAddress {
  const match = /^service:\/\/([^/?#]*)(.*)$/s.exec(text);
  if (!match) return refused(text, 'expected "service://" and the name of a service');
  const [, authority = "", rest = ""] = match;
  if (/[@:\\]/.test(authority)) return refused(text, "expected the name of a service alone: no user, no port");
  const labels = authority.split(".");
  if (labels.length > 2) return refused(text, "expected at most one alias or version before the name of the service");
  const [service = "", qualifier] = labels.reverse();
  const serviceProblem = nameProblem(service);
  if (serviceProblem) return refused(text, `service "${service}": ${serviceProblem}`);
  const problem = qualifier === undefined ? undefined : qualifierProblem(qualifier);
  if (problem) return refused(text, `alias or version "${qualifier}": ${problem}`);

  const named = qualifier === "live" ? undefined : qualifier;
  return {
    kind: "address",
    service,
    qualifier: named,
    route: named === undefined ? service : `${named}.${service}`,
    rest: rest.startsWith("/") ? rest : `/${rest}`,
  };
}

function refused(text: string, why: string): NoAddress {
  return { kind: "refused", reason: `Cannot call "${text}": ${why}` };
}
