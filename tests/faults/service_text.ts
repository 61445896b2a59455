/** A service as a line of text: what an oracle compares, and what people read when it does not match. */

/** What of a service on the map is compared; the messages of the contract have this form. */
export interface ServiceLike {
  readonly name: string;
  readonly modified: bigint;
  readonly specModified: bigint;
  readonly enabled: boolean;
  readonly instances: readonly InstanceLike[];
  readonly aliases: readonly AliasLike[];
}

export interface InstanceLike {
  readonly id: string;
  readonly modified: bigint;
  readonly port: number;
  readonly version: number;
  readonly weight: number;
  readonly enabled: boolean;
  readonly draining: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface AliasLike {
  readonly name: string;
  readonly modified: bigint;
  readonly route?: RouteLike | undefined;
}

export interface RouteLike {
  readonly version: number;
  readonly split: readonly { readonly version: number; readonly share: number }[];
}

/** Instances and aliases are in the order that they have. */
export function serviceText({ name, modified, specModified, enabled, instances, aliases }: ServiceLike): string {
  let text = `${name}@${modified} ${onOff(enabled)}@${specModified}`;
  for (const one of instances) {
    const notes = Object.entries(one.metadata).map(([key, value]) => `${key}=${short(value)}`).join();
    const state = onOff(one.enabled) + (one.draining ? ",draining" : "");
    text += ` ${one.id}@${one.modified}:${one.port},v${one.version},w${one.weight},${state},${notes}`;
  }
  for (const { name, modified, route } of aliases) {
    const split = route?.split.map(({ version, share }) => `v${version}=${share}`).join();
    text += ` ${name}@${modified}->${split || `v${route?.version}`}`;
  }
  return text;
}

function onOff(enabled: boolean): string {
  return enabled ? "on" : "off";
}

// What fills an update up is one character, again and again.
function short(value: string): string {
  const [first = ""] = value;
  return value.length > 16 && value === first.repeat(value.length) ? `${value.length}*${first}` : value;
}
