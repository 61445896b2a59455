/** Host names in the map, resolved here: HAProxy's files and socket get addresses only. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { hostProblem } from "../proto/names.ts";
import { type Log, SILENT } from "../proto/log.ts";

export interface ResolverOptions {
  /** The addresses of a name, in the order of preference; throws if it has none. Default: as the system resolves it. */
  readonly lookup?: (hostName: string) => Promise<readonly string[]>;
  /** An address that `owner` asked for has come, has changed, or did not come in time. */
  readonly onChange: (owner: string) => void;
  /** From one lookup of all names to the next, in ms; default 30 s. */
  readonly refreshMs?: number;
  /** After so many ms a name counts as one without an address until it has one; default 2 s. */
  readonly patienceMs?: number;
  readonly log?: Log;
}

interface Entry {
  readonly owners: Set<string>;
  address?: string;
  /** Whether the first lookup has ended, or took too long. */
  known: boolean;
  /** It has an address from before, and was not looked up. */
  recalled: boolean;
  looking: boolean;
}

// Addresses change seldom, and a changed one usually comes as another registration.
const REFRESH_MS = 30_000;
const PATIENCE_MS = 2_000;

/** Keeps the addresses of the names that are asked for. The last good address stays when a name stops resolving. */
export class Resolver implements Disposable {
  readonly #options: ResolverOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #recalled = new Map<string, string>();
  readonly #owned = new Map<string, ReadonlySet<string>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #stopped = false;
  /** Of host names, since the start. */
  lookups = 0;
  failedLookups = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.refresh(), options.refreshMs ?? REFRESH_MS);
  }

  /** An IP literal is its own address; a name has one once it is resolved. */
  addressOf(host: string): string | undefined {
    return isIP(host) !== 0 ? host : this.#entries.get(host)?.address;
  }

  /** Addresses that names had when this began: they are good until the names are looked up, and where that fails. */
  recall(addresses: ReadonlyMap<string, string>): void {
    for (const [name, address] of addresses) if (isIP(name) === 0) this.#recalled.set(name, address);
  }

  /** Says which hosts `owner` needs, in place of those before. */
  need(owner: string, hosts: Iterable<string>): void {
    const names = new Set([...hosts].filter((host) => isIP(host) === 0 && hostProblem(host) === undefined));
    const before = this.#owned.get(owner);
    if (names.size === 0 && !before) return;
    names.size > 0 ? this.#owned.set(owner, names) : this.#owned.delete(owner);
    for (const name of names) {
      const entry = this.#entries.get(name) ?? this.#newEntry(name);
      entry.owners.add(owner);
      this.#entries.set(name, entry);
      if (!entry.known || entry.recalled) this.#look(name, entry);
      entry.recalled = false;
    }
    for (const name of before ?? []) if (!names.has(name)) this.#forget(name, owner);
  }

  /** Whether a name that this owner needs waits for the end of its first lookup. */
  isPending(owner: string): boolean {
    for (const name of this.#owned.get(owner) ?? []) if (this.#entries.get(name)?.known === false) return true;
    return false;
  }

  /** Looks up every name again. */
  refresh(): void {
    for (const [name, entry] of this.#entries) this.#look(name, entry);
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  #newEntry(name: string): Entry {
    const address = this.#recalled.get(name);
    this.#recalled.delete(name);
    const recalled = address !== undefined;
    return { owners: new Set(), known: recalled, recalled, looking: false, ...(recalled && { address }) };
  }

  #forget(name: string, owner: string): void {
    const entry = this.#entries.get(name);
    entry?.owners.delete(owner);
    if (entry?.owners.size === 0) this.#entries.delete(name);
  }

  async #look(name: string, entry: Entry): Promise<void> {
    if (entry.looking) return;
    entry.looking = true;
    this.lookups++;
    const late = setTimeout(() => this.#settle(entry, entry.address), this.#options.patienceMs ?? PATIENCE_MS);
    try {
      const addresses = await (this.#options.lookup ?? systemLookup)(name);
      // Of several addresses in changing order, the one in use stays.
      const kept = addresses.find((address) => address === entry.address);
      this.#settle(entry, kept ?? addresses.find((address) => isIP(address) !== 0 && !hostProblem(address)));
    } catch (error) {
      this.failedLookups++;
      (this.#options.log ?? SILENT).warn("Cannot resolve a host name of the map", { host: name, reason: error });
      this.#settle(entry, entry.address);
    } finally {
      clearTimeout(late);
      entry.looking = false;
    }
  }

  #settle(entry: Entry, address: string | undefined): void {
    if (this.#stopped || (entry.known && (address === undefined || address === entry.address))) return;
    entry.known = true;
    if (address !== undefined) entry.address = address;
    for (const owner of entry.owners) this.#options.onChange(owner);
  }
}

async function systemLookup(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
