/** What tests say and hear as the control plane of followers. */
import assert from "node:assert/strict";
import type { WatchRequest } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { Inbox } from "../../proto/testing/inbox.ts";
import type { Snapshot } from "../follow.ts";
import type { Session } from "./control_plane.ts";

/** The next message of a session, which must be of this kind. */
export async function hear<K extends string>({ heard }: Session, kind: K) {
  const { value } = await heard.next();
  const message = value as WatchRequest["message"];
  assert.equal(message.case, kind);
  return message.value as Extract<WatchRequest["message"], { case: K }>["value"];
}

export async function next(snapshots: AsyncIterator<Snapshot>): Promise<Snapshot> {
  const { value, done } = await snapshots.next();
  assert.equal(done, false);
  return value;
}

/** Where a part stands that ends its update. */
export const at = (epoch: bigint, revision: bigint) => ({ position: { epoch, revision }, last: true });

/** Sessions in the order in which followers come; each test plays its part in them. */
export function sessions() {
  const inbox = new Inbox<Session>();
  return {
    watch: (session: Session) => inbox.put(session),
    next: () => inbox.next(),
  };
}
