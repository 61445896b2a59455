/** The sidecar's own HTTP: whether it is alive, ready, and what it is doing. */
import { Hono } from "hono";
import type { Haproxy } from "./haproxy/haproxy.ts";
import type { Reconciler } from "./reconcile.ts";

export interface AdminSources {
  readonly realm: string;
  readonly egress: string;
  readonly reconciler: Pick<Reconciler, "applied" | "reloads" | "refused">;
  readonly haproxy: Pick<Haproxy, "workerPid">;
  readonly following: { readonly connected: boolean };
}

/** The handler of `/healthz`, `/readyz` and `/state`. */
export function createAdmin(sources: AdminSources): Hono {
  const admin = new Hono();
  admin.get("/healthz", (context) => context.text("ok\n"));
  admin.get("/readyz", (context) => {
    const reasons = notReady(sources);
    return context.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
  });
  admin.get("/state", (context) => context.json(state(sources)));
  return admin;
}

function notReady({ reconciler, haproxy, following }: AdminSources): readonly string[] {
  const reasons: string[] = [];
  if (!reconciler.applied) {
    reasons.push(following.connected ? "the first map is not applied yet" : "the control plane has not answered yet");
  } else if (haproxy.workerPid === 0) reasons.push("HAProxy does not run");
  return reasons;
}

function state({ realm, egress, reconciler, haproxy, following }: AdminSources) {
  const { applied, reloads, refused } = reconciler;
  return {
    realm,
    egress,
    connected: following.connected,
    // Strings, as in the API: a revision does not fit a JSON number.
    applied: applied ? { epoch: String(applied.epoch), revision: String(applied.revision) } : null,
    refused,
    reloads: reloads.map(({ at, reasons }) => ({ at: at.toISOString(), reasons })),
    haproxy: { workerPid: haproxy.workerPid },
  };
}
