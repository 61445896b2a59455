/** One follower's `Watch` stream: subscriptions, one update under way at a time, and what the follower says of itself. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Position } from "../domain/cluster_map.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Scope } from "../domain/update.ts";
import { anonymous } from "../app/caller.ts";
import type { Connection, Follower } from "../app/followers.ts";
import type { Follow } from "../app/watcher.ts";
import { type Encoded, Undecodable } from "../../proto/grpc.ts";
import { nameProblem } from "../../proto/names.ts";
import { Follower_Kind, type Subscribe, type WatchRequest } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { encodeUpdate } from "./encode.ts";
import type { Ports } from "./ports.ts";
import { type Failure, grpcStatus, INTERNAL } from "./status.ts";
import { positionOf, refuseUnknown, scopeOf } from "./decode.ts";

export type WatchCall = ServerDuplexStream<WatchRequest | Undecodable, Encoded>;

let unnamed = 0;

export class WatchSession {
  readonly #ended = new AbortController();
  #subscription = 0;
  #realm: Scope["realm"] | undefined;
  #follow: Follow | undefined;
  #connection: Connection | undefined;
  /** The update under way, and what to do when it was received. */
  #underWay: { position: Position; received: () => void } | undefined;

  constructor(private readonly call: WatchCall, private readonly ports: Ports) {
    call.on("data", (request) => this.#hear(request));
    call.on("end", () => this.#end(() => call.end()));
    call.on("cancelled", () => this.#end());
    call.on("error", () => this.#end());
  }

  /** Ends the stream, telling the follower why: it will come back. */
  stop(): void {
    this.#fail(refuse("unavailable", "The control plane is stopping: follow another one, or this one again later"));
  }

  #hear(request: WatchRequest | Undecodable): void {
    if (this.#ended.signal.aborted) return;
    const refusal = request instanceof Undecodable ? refuse("invalid", request.description) : this.#answer(request);
    if (refusal) this.#fail(refusal);
  }

  #answer(request: WatchRequest): Refusal | undefined {
    const { message } = request;
    const unknown = refuseUnknown({ ...request, message: message.value });
    if (unknown) return unknown;
    if (message.case === "subscribe") return this.#subscribe(message.value);
    if (!this.#connection) return wrong("message", "expected subscribe first");
    if (message.case === undefined) return wrong("message", "expected subscribe, received or applied");
    const position = message.value.position && positionOf(message.value.position);
    if (!position) return wrong("position", "is required");
    if (isRefusal(position)) return position;
    if (message.case === "applied") {
      this.#connection.applied(position, message.value.refused.map(({ service, reason }) => ({ service, reason })));
      return undefined;
    }
    this.#connection.received(position);
    // A late word on an earlier update does not release this one.
    if (this.#underWay?.position.revision === position.revision) this.#underWay.received();
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
      this.#connection?.subscribed(scope);
      this.#follow.subscribe(scope, after);
      // Its parts answer a subscription that is over: nobody will say that they were received.
      this.#underWay?.received();
      return undefined;
    }
    const who = followerOf(follower);
    if (isRefusal(who)) return who;
    this.#realm = scope.realm;
    this.#connection = this.ports.followers.connect(who, scope);
    this.#follow = this.ports.operations.follow(anonymous(this.#ended.signal), scope, after);
    this.#pump(this.#follow).catch((error) => {
      if (this.#ended.signal.aborted) return;
      this.ports.log.error("Cannot go on with a watch", { error });
      this.#fail(INTERNAL);
    });
    return undefined;
  }

  async #pump(follow: Follow): Promise<void> {
    for (;;) {
      const update = await follow.next(this.#ended.signal);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#underWay = { position: update.position, received: resolve };
      for (const part of encodeUpdate(update, this.#subscription)) this.call.write(part);
      await promise;
    }
  }

  #fail(failure: Failure): void {
    this.#end(() => this.call.emit("error", grpcStatus(failure)));
  }

  #end(say: () => void = () => {}): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#underWay?.received();
    this.#follow?.[Symbol.dispose]();
    this.#connection?.[Symbol.dispose]();
    say();
  }
}

const KINDS = { [Follower_Kind.SIDECAR]: "sidecar", [Follower_Kind.SDK]: "sdk", [Follower_Kind.TOOL]: "tool" } as const;

function followerOf(follower: Subscribe["follower"]): Follower | Refusal {
  const { id = "", kind = Follower_Kind.TOOL, program = "", zone = "" } = follower ?? {};
  const zoneProblem = zone === "" ? undefined : nameProblem(zone);
  if (zoneProblem !== undefined) return wrong("follower.zone", zoneProblem);
  // Tools made from the contract alone need not say who they are.
  if (id === "") return { id: `anonymous-${++unnamed}`, kind: "tool", program, zone };
  const problem = nameProblem(id);
  if (problem !== undefined) return wrong("follower.id", problem);
  // A kind of a later contract is none that this one counts on.
  return { id, kind: KINDS[kind as keyof typeof KINDS] ?? "tool", program, zone };
}

function wrong(field: string, description: string): Refusal {
  return invalid([{ field, description }]);
}
