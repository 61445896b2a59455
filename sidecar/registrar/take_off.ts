/** How an instance leaves the map: drained, so that calls under way may end, then removed. */
import { type ServiceError, status as code } from "@grpc/grpc-js";
import type { Log } from "../../proto/log.ts";
import type { ControlPlanes } from "../../sdk-ts/control_planes.ts";
import type { Ports } from "../../sdk-ts/ports.ts";
import { retryWrite } from "../../sdk-ts/retry_write.ts";

export interface TakeOffOptions {
  readonly controlPlanes: ControlPlanes;
  readonly realm: string;
  readonly service: string;
  readonly id: string;
  /** Between the two, in ms. */
  readonly drainMs: number;
  /** For people. */
  readonly reason: string;
  /** The instance is wanted again: nothing more is done, unless it is being removed already. */
  readonly back: AbortSignal;
  /** Nobody waits for it any more. */
  readonly end: AbortSignal;
  /** From here on it is waited for, but not for long. */
  readonly farewell: AbortSignal;
  readonly log: Log;
  readonly ports: Ports;
}

/** Of one write, and between the two, after the farewell. */
const MOST_WRITE_MS = 3_000;
const MOST_DRAIN_MS = 10_000;

/** Goes on until it is done, or ended; throws where it ends before. */
export async function takeOff(options: TakeOffOptions): Promise<void> {
  const { back, end, farewell, drainMs, ports } = options;
  const signal = AbortSignal.any([back, end]);
  if (await write(options, "drain", signal)) {
    using patience = within(MOST_DRAIN_MS, farewell);
    await ports.sleep(drainMs, AbortSignal.any([signal, patience.signal]));
  }
  signal.throwIfAborted();
  await write(options, "deregister", end);
}

/** Answers whether the instance was there. */
async function write(
  { controlPlanes, realm, service, id, reason, farewell, log, ports }: TakeOffOptions,
  what: "drain" | "deregister",
  signal: AbortSignal,
): Promise<boolean> {
  using patience = within(MOST_WRITE_MS, farewell);
  const request = { realm, service, id, options: { reason, operationId: crypto.randomUUID() } };
  return await retryWrite({
    what: `${what} "${service}/${id}"`,
    controlPlanes,
    log,
    signal: AbortSignal.any([signal, patience.signal]),
    despiteRefusals: true,
    attempt: async (client, { timeoutMs }) => {
      try {
        // Not cut short: whoever registers it next comes after this.
        await client[what](request, { timeoutMs: farewell.aborted ? MOST_WRITE_MS : timeoutMs });
        return true;
      } catch (error) {
        if ((error as Partial<ServiceError>).code === code.NOT_FOUND) return false;
        throw error;
      }
    },
  }, ports);
}

/** A signal that comes so many ms after another one. */
function within(ms: number, after: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = () => timer = setTimeout(() => over.abort(), ms);
  if (after.aborted) begin();
  else after.addEventListener("abort", begin, { once: true });
  return {
    signal: over.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      after.removeEventListener("abort", begin);
    },
  };
}
