/** Points in the histories of a map, for all rooms: their order, and how they are written. */

/** A revision, counted within one unbroken history of the store, and that history's number. */
interface Point {
  readonly epoch: bigint;
  readonly revision: bigint;
}

/** Below 0 where `a` is before `b`, above 0 where it is after: a store that was restored or wiped begins a higher epoch. */
export function comparePositions(a: Point, b: Point): number {
  return Number(a.epoch - b.epoch) || Number(a.revision - b.revision);
}

/** Whether both mean the same point; nothing is the same as nothing. */
export function samePosition(a: Point | undefined, b: Point | undefined): boolean {
  return a?.epoch === b?.epoch && a?.revision === b?.revision;
}

/** A position as it is written: `epoch.revision`. */
export function formatPosition({ epoch, revision }: Point): string {
  return `${epoch}.${revision}`;
}
