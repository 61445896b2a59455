/** How much is measured. Counts, not times, so that two runs do the same. */
export interface Sizes {
  /** The map: as many services, of as many instances each. */
  readonly services: number;
  readonly instances: number;
  /** Rounds in which everything that is measured has its turn; one more before them warms up. */
  readonly rounds: number;
  /** Samples of one turn, of what takes about a millisecond. */
  readonly writes: number;
  /** Samples of one turn, of changes that are looked for through HAProxy. */
  readonly routedWrites: number;
  /** Watchers on connections of their own, and the samples of one turn with them. */
  readonly watchers: number;
  readonly watchedWrites: number;
  /** How long one turn of load lasts, in ms, and how many connections it has at most. */
  readonly loadMs: number;
  readonly connections: number;
  readonly loadRounds: number;
}

export const FULL: Sizes = {
  services: 100,
  instances: 5,
  rounds: 10,
  writes: 100,
  routedWrites: 20,
  watchers: 1_000,
  watchedWrites: 5,
  loadMs: 1_000,
  connections: 64,
  loadRounds: 5,
};

/** Shows that every bench works, not how fast anything is. */
export const QUICK: Sizes = {
  services: 5,
  instances: 2,
  rounds: 1,
  writes: 5,
  routedWrites: 2,
  watchers: 10,
  watchedWrites: 2,
  loadMs: 50,
  connections: 8,
  loadRounds: 1,
};
