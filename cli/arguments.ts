/** Forms of arguments that several commands take. Only the form is checked: what names may be is the server's to say. */
import { status } from "@grpc/grpc-js";
import { versionOfName } from "../proto/names.ts";
import { type Address, address, type Flags, Problem } from "../proto/settings.ts";
import { EXIT, expectArgs, Failure } from "./command.ts";
import { words } from "./flags.ts";
import type { Hints } from "./refusal.ts";

interface InstanceName {
  readonly service: string;
  readonly id: string;
}

/** `SERVICE/ID`. */
export function instanceName(text: string): InstanceName {
  const [service, id, more] = text.split("/");
  if (!service || !id || more !== undefined) throw new Failure(EXIT.usage, `argument "${text}": expected SERVICE/ID`);
  return { service, id };
}

/** What a switch is turned for, as on the wire: an empty id means the service itself. */
interface Target extends InstanceName {
  readonly hostId: string;
}

/** A target in words, and what to do where there is none. */
interface TargetWords {
  readonly named: string;
  /** For the sentence about a failure. */
  readonly quoted: string;
  readonly hints: Hints;
}

/** Of commands that take {@link targetOf}. */
export const TARGET = {
  args: "(SERVICE[/ID] | --host H)",
  flags: { host: { hint: "H", help: "All instances of this host", parse: words } } satisfies Flags,
};

/** `SERVICE`, `SERVICE/ID`, or all instances of a host. */
export function targetOf(args: readonly string[], host: string): [Target, TargetWords] {
  if (host) {
    expectArgs(args, "either SERVICE[/ID] or --host, not both", 0);
    const hints = { [status.NOT_FOUND]: "; ./portolan show SERVICE names the host of each instance" };
    const named = `all instances of host "${host}"`;
    return [{ service: "", id: "", hostId: host }, { named, quoted: named, hints }];
  }
  const [named = ""] = expectArgs(args, "SERVICE, SERVICE/ID, or --host H", 1);
  const target = named.includes("/") ? instanceName(named) : { service: named, id: "" };
  return [{ ...target, hostId: "" }, { named, quoted: `"${named}"`, hints: {} }];
}

/** `HOST:PORT`, an IPv6 address in brackets. */
export function hostPort(text: string): Address {
  const parsed = address(text);
  if (parsed instanceof Problem) throw new Failure(EXIT.usage, `argument "${text}": ${parsed.text}`);
  return parsed;
}

/** `v42`. */
export function versionName(text: string): number {
  const version = versionOfName(text);
  if (version === undefined) throw new Failure(EXIT.usage, `argument "${text}": expected a version, as in v42`);
  return version;
}

/** `v41=9000`: a version and its share in basis points. */
export function versionShare(text: string): { version: number; share: number } {
  const [, version = "", share = ""] = /^([^=]*)=([0-9]{1,9})$/.exec(text) ?? [];
  if (share === "" || versionOfName(version) === undefined) {
    throw new Failure(EXIT.usage, `argument "${text}": expected a version and its share of 10000, as in v41=9000`);
  }
  return { version: versionName(version), share: Number(share) };
}
