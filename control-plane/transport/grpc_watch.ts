/** One follower's `Watch` stream: subscriptions, one update under way at a time, and what the follower says of itself. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Position } from "../domain/cluster_map.ts";
import { parseServiceName } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Scope } from "../domain/update.ts";
import { anonymous } from "../app/caller.ts";
import type { Connection, Follower, Unusable } from "../app/followers.ts";
import type { Follow } from "../app/watcher.ts";
import { type Encoded, Undecodable } from "../../proto/grpc.ts";
import { nameProblem } from "../../proto/names.ts";
import {
  type Applied,
  Follower_Kind,
  type Subscribe,
  type WatchRequest,
} from "../../proto/gen/portolan/v1/discovery_pb.ts";
import type { Watch } from "../app/telemetry.ts";
import { comparePositions, formatPosition } from "../../proto/position.ts";
import { encodeUpdate, sizeOf } from "./encode.ts";
import { type Ports, type Standing, STOPPING } from "./ports.ts";
import { type Failure, grpcStatus, INTERNAL } from "./status.ts";
import { positionOf, refuseUnknown, scopeOf } from "./decode.ts";
import { peerOf } from "./grpc_calls.ts";
import type { Room } from "./room.ts";
import { Violations } from "./violations.ts";

export type WatchCall = ServerDuplexStream<WatchRequest | Undecodable, Encoded>;

let unnamed = 0;

/** A stream that asks for nothing is not kept, in ms. */
const SUBSCRIBE_MS = 10_000;
/** Subscriptions of one stream whose updates nobody has received: each update may be the whole map. */
const MOST_UNHEARD = 64;
/** Of what a follower says of itself, and of what it cannot use. */
const MAX_PROGRAM_BYTES = 256;
const MOST_REFUSED = 32;
const MAX_REASON_CHARACTERS = 512;

export class WatchSession implements Standing {
  readonly #ended = new AbortController();
  /** Aborts when the stream is over, whoever ended it. */
  readonly ended = this.#ended.signal;
  readonly #measured: Watch;
  readonly #peer: string;
  #subscription = 0;
  #unheard = 0;
  #subscribed: () => void;
  #realm: Scope["realm"] | undefined;
  /** What the follower held before it came. */
  #brought: Position | undefined;
  #follow: Follow | undefined;
  #connection: Connection | undefined;
  /** In memory, of updates that were not received. */
  readonly #places: Disposable[] = [];
  /** The update under way, and what to do when it was received. */
  #underWay: { position: Position; received: () => void } | undefined;

  constructor(
    private readonly call: WatchCall,
    private readonly ports: Ports,
    private readonly room: Room,
    subscribeMs = SUBSCRIBE_MS,
  ) {
    this.#measured = ports.telemetry.watch();
    this.#peer = peerOf(call);
    call.on("data", (request) => this.#hear(request));
    call.on("end", () => this.#end(() => call.end()));
    call.on("cancelled", () => this.#end());
    call.on("error", () => this.#end());
    const silent = setTimeout(
      () => this.#fail(wrong("message", `expected subscribe within ${subscribeMs} ms`)),
      subscribeMs,
    );
    this.#subscribed = () => clearTimeout(silent);
    this.ended.addEventListener("abort", this.#subscribed, { once: true });
  }

  stop(): void {
    this.#fail(STOPPING);
  }

  #hear(request: WatchRequest | Undecodable): void {
    if (this.ended.aborted) return;
    const refusal = request instanceof Undecodable ? refuse("invalid", request.description) : this.#answer(request);
    if (refusal) this.#fail(refusal);
  }

  #answer(request: WatchRequest): Refusal | undefined {
    const { message } = request;
    const unknown = refuseUnknown({ ...request, message: message.value });
    if (unknown) return unknown;
    if (message.case === "subscribe") return this.#subscribe(message.value);
    if (!this.#connection) return wrong("message", "expected subscribe first");
    if (message.case === undefined) return wrong("message", "expected subscribe, received, applied or goodbye");
    if (message.case === "goodbye") return this.#leave(this.#connection), undefined;
    const position = message.value.position && positionOf(message.value.position);
    if (!position) return wrong("position", "is required");
    if (isRefusal(position)) return position;
    if (message.case === "applied") {
      const is = this.ports.reading.position();
      // It may have been further where it came from: whether that can be is found out before it is sent anything.
      if (comparePositions(position, is) > 0 && !(this.#brought && comparePositions(position, this.#brought) <= 0)) {
        return wrong("position", `expected at most ${formatPosition(is)}, the newest one here`);
      }
      const refused = refusedOf(message.value.refused);
      if (isRefusal(refused)) return refused;
      this.#measured.applied(position.revision);
      this.#connection.applied(position, refused);
      return undefined;
    }
    this.#connection.received(position);
    // A late word on an earlier update does not release this one.
    if (this.#underWay?.position.revision === position.revision) {
      this.#unheard = 0;
      this.#leavePlaces();
      this.#underWay.received();
    }
    return undefined;
  }

  #subscribe({ scope: wanted, after: held, follower, subscription }: Subscribe): Refusal | undefined {
    const scope = scopeOf(wanted);
    if (isRefusal(scope)) return scope;
    const after = held && positionOf(held, "after");
    if (after && isRefusal(after)) return after;
    if (this.#follow && this.#realm !== scope.realm) return wrong("realm", "expected the one of this stream");
    if (this.#follow && subscription <= this.#subscription) {
      return wrong("subscription", `expected more than ${this.#subscription}`);
    }
    this.#subscription = subscription;
    if (this.#follow) {
      if (++this.#unheard > MOST_UNHEARD) {
        const message = `Cannot subscribe again: nothing of ${MOST_UNHEARD} subscriptions was received`;
        return refuse("too_many", message);
      }
      this.#connection?.subscribed(scope);
      this.#follow.subscribe(scope, after);
      // Its parts answer a subscription that is over: nobody will say that they were received.
      this.#underWay?.received();
      return undefined;
    }
    const who = followerOf(follower);
    if (isRefusal(who)) return who;
    this.#subscribed();
    this.#realm = scope.realm;
    this.#brought = after;
    const line = { peer: this.call.getPeer(), ask: () => this.#follow?.bookmark() };
    this.#connection = this.ports.fleet.connect(who, scope, line);
    this.#follow = this.ports.reading.follow(anonymous(this.ended), scope, after);
    this.#pump(this.#follow, after).catch((error) => {
      if (this.ended.aborted) return;
      this.ports.log.error("Cannot go on with a watch", { error });
      this.#fail(INTERNAL);
    });
    return undefined;
  }

  async #pump(follow: Follow, after: Position | undefined): Promise<void> {
    const refusal = after && await this.ports.reading.settle(after);
    if (refusal) return this.#fail(refusal);
    for (;;) {
      const update = await follow.next(this.ended);
      const subscription = this.#subscription;
      const parts = encodeUpdate(update, subscription);
      const place = await this.room.take(this.#peer, sizeOf(parts), this.ended);
      if (isRefusal(place)) return this.#fail(place);
      // Meanwhile the stream may have ended, or subscribed again: nobody would say that this was received.
      if (this.ended.aborted || subscription !== this.#subscription) {
        place[Symbol.dispose]();
        if (this.ended.aborted) return;
        continue;
      }
      this.#places.push(place);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#underWay = { position: update.position, received: resolve };
      for (const part of parts) this.call.write(part);
      this.#measured.delivered(update);
      await promise;
    }
  }

  #leave(connection: Connection): void {
    this.ports.fleet.goodbye(connection)
      .catch((error) => this.ports.log.error("Cannot take a follower off the roster", { error }))
      .finally(() => this.#end(() => this.call.end()));
  }

  #fail(failure: Failure): void {
    this.#end(() => this.call.emit("error", grpcStatus(failure)));
  }

  #end(say: () => void = () => {}): void {
    if (this.ended.aborted) return;
    this.#ended.abort();
    this.#underWay?.received();
    this.#leavePlaces();
    this.#follow?.[Symbol.dispose]();
    this.#connection?.[Symbol.dispose]();
    say();
  }

  #leavePlaces(): void {
    for (const place of this.#places.splice(0)) place[Symbol.dispose]();
  }
}

const KINDS = { [Follower_Kind.SIDECAR]: "sidecar", [Follower_Kind.SDK]: "sdk", [Follower_Kind.TOOL]: "tool" } as const;

function followerOf(follower: Subscribe["follower"]): Follower | Refusal {
  const { id = "", kind = Follower_Kind.TOOL, program = "", zone = "" } = follower ?? {};
  const zoneProblem = zone === "" ? undefined : nameProblem(zone);
  if (zoneProblem !== undefined) return wrong("follower.zone", zoneProblem);
  // People read it in their terminals.
  if (!/^[\x20-\x7e]*$/.test(program) || program.length > MAX_PROGRAM_BYTES) {
    return wrong("follower.program", `expected at most ${MAX_PROGRAM_BYTES} visible ASCII characters`);
  }
  // Tools made from the contract alone need not say who they are.
  if (id === "") return { id: `anonymous-${++unnamed}`, kind: "tool", program, zone };
  const problem = nameProblem(id);
  if (problem !== undefined) return wrong("follower.id", problem);
  // A kind of a later contract is none that this one counts on.
  return { id, kind: KINDS[kind as keyof typeof KINDS] ?? "tool", program, zone };
}

/** What a follower cannot use; cut to what can be shown, also of thousands of followers. */
function refusedOf(refused: Applied["refused"]): readonly Unusable[] | Refusal {
  const fields = new Violations();
  const unusable = refused.map(({ service, reason }, i) => ({
    service: fields.take(`refused[${i}].service`, parseServiceName(service)),
    reason: reason.slice(0, MAX_REASON_CHARACTERS),
  }));
  return fields.refusal() ?? unusable.slice(0, MOST_REFUSED);
}

function wrong(field: string, description: string): Refusal {
  return invalid([{ field, description }]);
}
