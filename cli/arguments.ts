/** Forms of arguments that several commands take. Only the form is checked: what names may be is the server's to say. */
import { versionOfName } from "../proto/names.ts";
import { EXIT, Failure } from "./command.ts";

export interface InstanceName {
  readonly service: string;
  readonly id: string;
}

/** `SERVICE/ID`. */
export function instanceName(text: string): InstanceName {
  const [service, id, more] = text.split("/");
  if (!service || !id || more !== undefined) throw new Failure(EXIT.usage, `argument "${text}": expected SERVICE/ID`);
  return { service, id };
}

/** `SERVICE` or `SERVICE/ID`; an empty id means the service itself, as on the wire. */
export function serviceOrInstance(text: string): InstanceName {
  return text.includes("/") ? instanceName(text) : { service: text, id: "" };
}

/** `HOST:PORT`, an IPv6 address in brackets. */
export function hostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new Failure(EXIT.usage, `argument "${text}": expected HOST:PORT`);
  return { host, port: Number(match?.[3]) };
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
