import type { Log } from "../proto/log.ts";
import { register, type RegisterOptions } from "../sdk-ts/register.ts";
import { EXIT, Failure, type Io } from "./command.ts";
import { reach } from "./control_plane.ts";
import type { Output } from "./flags.ts";
import { failureOf } from "./refusal.ts";
import { stopSignal } from "./stop_signal.ts";
import { oneLine } from "./table.ts";

/**
 * Registers an instance, keeps it registered until Ctrl-C, and deregisters it; a second Ctrl-C ends at once. For
 * programs each event is a JSON object on a line of its own.
 */
export async function keepRegistered(
  options: RegisterOptions,
  where: string,
  output: Output,
  io: Io,
): Promise<void> {
  const { controlPlanes, service, id, instance } = options;
  const name = `${service}/${id}`;
  const say = (event: string, words: string, fields: Readonly<Record<string, unknown>> = {}) =>
    io.out(output === "json" ? JSON.stringify({ event, ...fields }) + "\n" : `${words}\n`);
  const address = await reach(controlPlanes);
  using stop = stopSignal();
  const stopping = new AbortController();
  const stopped = stop.signalled.then(() => stopping.abort());
  const ordered = [address, ...controlPlanes.filter((one) => one !== address)];
  const log = logTo(io, output);
  const registration = await register({ ...options, controlPlanes: ordered, log, signal: stopping.signal })
    .catch((error) => {
      if (stopping.signal.aborted) return undefined;
      throw failed(error, `register "${name}"`, address);
    });
  if (!registration) return;
  const { revision } = registration;
  const renewing = instance.ttlMs ? ", renewing its lease" : "";
  const words = `Registered ${name} at ${where} (revision ${revision})${renewing}; Ctrl-C deregisters it`;
  say("registered", words, { revision: `${revision}` });
  await stopped;
  const left = registration[Symbol.asyncDispose]().then(
    () => say("deregistered", `Deregistered ${name}`),
    (error) => {
      throw failed(error, `deregister "${name}"`, address);
    },
  );
  await Promise.race([left, stop.again]);
}

/** What the control plane answered; if it did not, that it is not there. */
function failed(error: Error, what: string, address: string): Failure {
  const answered = error.cause instanceof Error && "details" in error.cause;
  return answered
    ? failureOf(error.cause, what, address)
    : new Failure(EXIT.unreachable, error.message, { cause: error });
}

/** What happens meanwhile: for people on standard error, for programs among the events. The same again says nothing. */
function logTo({ out, err }: Io, output: Output): Log {
  let last = "";
  const line = (event: string): Log["info"] => (message, fields = {}) => {
    const reason = fields["reason"] instanceof Error ? fields["reason"].message : fields["reason"];
    const words = `${message}${reason === undefined ? "" : `: ${oneLine(`${reason}`)}`}`;
    if (words === last) return;
    last = words;
    if (output === "json") out(JSON.stringify({ event, message, ...(reason !== undefined && { reason }) }) + "\n");
    else err(`portolan register: ${words}\n`);
  };
  return { info: line("info"), warn: line("warning"), error: line("error") };
}
