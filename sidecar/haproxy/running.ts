/** A HAProxy that runs: one that this sidecar has started, or one that it has found. */

/** What the sidecar says to a master: let requests end; end now; be killed. */
export type Signal = "SIGUSR1" | "SIGTERM" | "SIGKILL";

export interface Running {
  /** Of the master. */
  readonly pid: number;
  /** Settles when it has ended, with what is known about that; never rejects. */
  readonly ended: Promise<Readonly<Record<string, unknown>>>;
  /** Does nothing to one that has ended. */
  signal(signal: Signal): Promise<void>;
  /** Lets it run, watched by nobody. */
  release(): void;
}
