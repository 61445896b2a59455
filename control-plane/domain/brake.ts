/**
 * The brake: which leases that ran out are removed with what they hold, and which are kept because too many ran out
 * together. That many registrars do not die at once: more likely they, or the network, cannot reach us.
 */
import type { LeaseId } from "./names.ts";

/** A lease as one realm sees it; times in ms of one monotonic clock. */
export interface LeaseLoad {
  readonly lease: LeaseId;
  /** Instances of the realm that it holds, or held when it was removed. */
  readonly instances: number;
  /** Its ttl counts from here: its last beat, or when beats could be heard again. */
  readonly from: number;
  readonly ttl: number;
  /** What is decided of it already. */
  readonly state: "standing" | "held" | "removed";
}

export interface Verdict {
  readonly remove: readonly LeaseId[];
  readonly hold: readonly LeaseId[];
}

/** More than this share of a realm's leased instances, in percent, on at least so many leases and instances. */
export const BRAKE = { percent: 30, leases: 2, instances: 5 };

/**
 * Judges the leases of a realm at `now`, each by its own TTL: one that ran out is held if too many ran out in some span of
 * that length which it lies in. It is left alone for now while others are silent that would make too many with it: they
 * come back, or run out, within a TTL.
 */
export function judge(leases: readonly LeaseLoad[], now: number): Verdict {
  const total = leases.reduce((sum, { instances }) => sum + instances, 0);
  const ranOut = leases.filter((lease) => endOf(lease) <= now);
  // Half a TTL without a beat: at least one was missed.
  const silent = leases.filter((lease) => endOf(lease) > now && now - lease.from >= lease.ttl / 2);
  const open = ranOut.filter(({ state }) => state === "standing");
  const [remove, hold]: [LeaseId[], LeaseId[]] = [[], []];
  for (const ttl of new Set(open.map((lease) => lease.ttl))) {
    const many = together(ranOut, total, ttl);
    const perhaps = together([...ranOut, ...silent], total, ttl);
    for (const lease of open) {
      if (lease.ttl !== ttl) continue;
      if (many.has(lease)) hold.push(lease.lease);
      else if (!perhaps.has(lease)) remove.push(lease.lease);
    }
  }
  return { remove, hold };
}

function endOf({ from, ttl }: LeaseLoad): number {
  return from + ttl;
}

/** Those that end within `ttl` ms with so many others that the brake holds. */
function together(leases: readonly LeaseLoad[], total: number, ttl: number): ReadonlySet<LeaseLoad> {
  const sorted = leases.filter(({ instances }) => instances > 0).sort((a, b) => endOf(a) - endOf(b));
  const braked = new Set<LeaseLoad>();
  let instances = 0;
  for (let first = 0, next = 0, marked = 0; first < sorted.length; first++) {
    const from = sorted[first] as LeaseLoad;
    for (; next < sorted.length && endOf(sorted[next] as LeaseLoad) <= endOf(from) + ttl; next++) {
      instances += (sorted[next] as LeaseLoad).instances;
    }
    const holds = next - first >= BRAKE.leases && instances >= BRAKE.instances &&
      instances * 100 > BRAKE.percent * total;
    if (holds) {
      for (marked = Math.max(marked, first); marked < next; marked++) braked.add(sorted[marked] as LeaseLoad);
    }
    instances -= from.instances;
  }
  return braked;
}
