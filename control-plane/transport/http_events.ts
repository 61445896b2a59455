/** A watch as server-sent events: `update` with one part as JSON; its id, a position, on the last part of an update. */
import { anonymous } from "../app/caller.ts";
import type { Reading } from "../app/reading.ts";
import type { Follow } from "../app/watcher.ts";
import type { Position } from "../domain/cluster_map.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import type { Scope, Update } from "../domain/update.ts";
import { formatPosition } from "../../proto/position.ts";
import { updateJson } from "./encode.ts";

/** Bytes that are handed to a reader at once. */
const PIECE = 1 << 16;
const NOTHING = new Uint8Array();

/**
 * Ends when its reader goes, `stopping` aborts, or there is no `room` for so many bytes, and disposes of `turn` then. The
 * next update is made when this one was read.
 */
export function eventStream(
  reading: Reading,
  scope: Scope,
  after: Position | undefined,
  stopping: AbortSignal,
  turn: Disposable,
  room: (bytes: number, signal: AbortSignal) => Promise<Disposable | Refusal>,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const ended = AbortSignal.any([gone.signal, stopping]);
  let follow: Follow | undefined;
  // What is left of an update, and its place in memory: many may share it, and the last to read it is who does not read.
  let rest: Uint8Array = NOTHING;
  let place: Disposable | undefined;
  const leave = () => {
    follow?.[Symbol.dispose]();
    turn[Symbol.dispose]();
    place?.[Symbol.dispose]();
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      follow ??= reading.follow(anonymous(ended), scope, after);
      try {
        if (rest === NOTHING) {
          const events = eventsOf(await follow.next(ended));
          const taken = await room(events.length, ended);
          if (isRefusal(taken)) {
            ended.throwIfAborted();
            // It comes back, after what it has read.
            return leave(), controller.close();
          }
          [place, rest] = [taken, events];
        }
        // Throws when the reader is gone. A copy: what is on its way keeps nothing else in memory.
        controller.enqueue(rest.slice(0, PIECE));
        rest = rest.length > PIECE ? rest.subarray(PIECE) : NOTHING;
        if (rest === NOTHING) place?.[Symbol.dispose]();
      } catch (error) {
        leave();
        if (!ended.aborted) throw error;
        if (!gone.signal.aborted) controller.close();
      }
    },
    cancel() {
      gone.abort();
      leave();
    },
    // Nothing is followed before somebody reads.
  }, { highWaterMark: 0 });
}

const encoder = new TextEncoder();
const encodedEvents = new WeakMap<Update, Uint8Array>();

function eventsOf(update: Update): Uint8Array {
  const known = encodedEvents.get(update);
  if (known) return known;
  const { position, complete, set, deleted } = update;
  const idle = !complete && set.length === 0 && deleted.length === 0;
  const events = encoder.encode(idle ? `: complete up to ${formatPosition(position)}\n\n` : eventTexts(update));
  encodedEvents.set(update, events);
  return events;
}

function eventTexts(update: Update): string {
  const parts = updateJson(update);
  return parts.map((part, i) => {
    const id = i === parts.length - 1 ? `id: ${formatPosition(update.position)}\n` : "";
    return `event: update\n${id}data: ${part}\n\n`;
  }).join("");
}
