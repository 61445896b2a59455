/** What time it is; tests bring their own. */
export interface Clock {
  /** In ms since 1970; may jump. For people, and for the number of an epoch. */
  wall(): number;
  /** In ms; never goes back, and says nothing but how long something took. Leases are measured by it. */
  monotonic(): number;
}

export const CLOCK: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };
