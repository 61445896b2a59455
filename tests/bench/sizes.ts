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
  /** Of those, new services, and writes that a loop renders a template and reloads for. */
  readonly newServices: Turn;
  readonly rendered: Turn;
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
  /** Services that a HAProxy has whose requests are paid for; for how long, in ms, and how often each is asked. */
  readonly proxied: readonly number[];
  readonly proxiedMs: number;
  readonly proxiedRounds: number;
  /** The map that a sidecar is to hold. */
  readonly sidecarMap: { readonly services: number; readonly instances: number };
  /** How often it is rendered as a whole, and a change of it. */
  readonly renders: Turn;
  /** How long it is looked at while at rest, in ms, and how often. */
  readonly restMs: number;
  readonly restRounds: number;
  /** How long requests come, in ms, so many a second, and how often. */
  readonly pacedMs: number;
  readonly pacedRounds: number;
  readonly perSecond: number;
}

export const FULL: Sizes = {
  services: 100,
  instances: 5,
  rounds: 10,
  // Servers run for weeks: their code is to be as fast as it gets.
  writes: { samples: 100, warmUp: 1_000 },
  routedWrites: { samples: 20, warmUp: 100 },
  newServices: { samples: 10, warmUp: 10 },
  rendered: { samples: 5, warmUp: 2 },
  watchers: 1_000,
  watchedWrites: { samples: 5, warmUp: 10 },
  loadMs: 1_000,
  connections: 64,
  load: { samples: 1, warmUp: 3 },
  loadRounds: 5,
  largeMaps: [1_000, 10_000],
  starts: 5,
  proxied: [1, 100, 1_000],
  proxiedMs: 1_000,
  proxiedRounds: 8,
  sidecarMap: { services: 1_000, instances: 10 },
  renders: { samples: 10, warmUp: 20 },
  restMs: 20_000,
  restRounds: 3,
  pacedMs: 5_000,
  pacedRounds: 5,
  perSecond: 1_000,
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
  newServices: { samples: 2, warmUp: 1 },
  rendered: { samples: 2, warmUp: 1 },
  watchers: 10,
  watchedWrites: { samples: 2, warmUp: 1 },
  loadMs: 50,
  connections: 8,
  load: { samples: 1, warmUp: 1 },
  loadRounds: 1,
  largeMaps: [20],
  starts: 1,
  proxied: [1, 3],
  proxiedMs: 50,
  proxiedRounds: 1,
  sidecarMap: { services: 20, instances: 2 },
  renders: { samples: 2, warmUp: 1 },
  restMs: 200,
  restRounds: 1,
  pacedMs: 200,
  pacedRounds: 1,
  perSecond: 500,
};
