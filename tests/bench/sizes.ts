/** Samples of one turn, and how many of the turn before all rounds, which warms up and does not count. */
export interface Turn {
  readonly samples: number;
  readonly warmUp: number;
}

/** How much is measured. */
export interface Sizes {
  /** The map: as many services, of as many instances each. */
  readonly services: number;
  readonly instances: number;
  /** Rounds in which everything that is measured has its turn. */
  readonly rounds: number;
  /** Writes that one watcher waits for. */
  readonly writes: Turn;
  /** Writes that are looked for through HAProxy. */
  readonly routedWrites: Turn;
  /** Watchers on connections of their own, and the writes that all of them wait for. */
  readonly watchers: number;
  readonly watchedWrites: Turn;
  /** How long one turn of load lasts, in ms, and how many connections it has at most. */
  readonly loadMs: number;
  readonly connections: number;
  readonly load: Turn;
  readonly loadRounds: number;
  /** Services, of ten instances each, of the large maps; and how often each is started. */
  readonly largeMaps: readonly number[];
  readonly starts: number;
}

export const FULL: Sizes = {
  services: 100,
  instances: 5,
  rounds: 10,
  // Servers run for weeks: their code is to be as fast as it gets.
  writes: { samples: 100, warmUp: 1_000 },
  routedWrites: { samples: 20, warmUp: 100 },
  watchers: 1_000,
  watchedWrites: { samples: 5, warmUp: 10 },
  loadMs: 1_000,
  connections: 64,
  load: { samples: 1, warmUp: 3 },
  loadRounds: 5,
  largeMaps: [1_000, 10_000],
  starts: 5,
};

/** As many watchers as one control plane is to hold; each with a connection of its own, so it takes minutes to set up. */
export const MANY_WATCHERS: Pick<Sizes, "watchers" | "rounds" | "watchedWrites"> = {
  watchers: 5_000,
  rounds: 5,
  watchedWrites: { samples: 2, warmUp: 5 },
};

/** Shows that every bench works, not how fast anything is. */
export const QUICK: Sizes = {
  services: 5,
  instances: 2,
  rounds: 1,
  writes: { samples: 5, warmUp: 1 },
  routedWrites: { samples: 2, warmUp: 1 },
  watchers: 10,
  watchedWrites: { samples: 2, warmUp: 1 },
  loadMs: 50,
  connections: 8,
  load: { samples: 1, warmUp: 1 },
  loadRounds: 1,
  largeMaps: [20],
  starts: 1,
};
