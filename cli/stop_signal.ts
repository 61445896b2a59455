const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Listens for the signals that ask a program to end, until disposed. */
interface StopSignal extends Disposable {
  /** Resolves at the first one, with its name. */
  readonly signalled: Promise<string>;
  /** Resolves at the second one. */
  readonly again: Promise<void>;
}

export function stopSignal(): StopSignal {
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<void>();
  let count = 0;
  const listeners = SIGNALS.map((signal) => {
    const listener = () => ++count === 1 ? first.resolve(signal) : second.resolve();
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return {
    signalled: first.promise,
    again: second.promise,
    [Symbol.dispose]: () => listeners.forEach((remove) => remove()),
  };
}
