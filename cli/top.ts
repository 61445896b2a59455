import type { ListFollowersResponse } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { SILENT } from "../proto/log.ts";
import { type Address, address, type Flag, type Flags } from "../proto/settings.ts";
import { sleep } from "../proto/sleep.ts";
import type { Following, Snapshot } from "../sdk-ts/follow.ts";
import { changes } from "./changes.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { reach, readFollowers, readMap } from "./control_plane.ts";
import { READ } from "./flags.ts";
import { failureOf } from "./refusal.ts";
import type { Screen } from "./screen.ts";
import { stopSignal } from "./stop_signal.ts";
import { type SidecarSeen, SidecarWatch } from "./top_sidecar.ts";
import { topJson, topText } from "./top_text.ts";
import { look } from "./watch.ts";

const admin: Flag<Address> = {
  hint: "HOST:PORT",
  help: "The sidecar's own HTTP address",
  env: "PORTOLAN_ADMIN",
  fallback: "127.0.0.1:7412",
  parse: address,
};

const FLAGS = { ...READ, admin } satisfies Flags;

export const top = command({
  name: "top",
  summary: "Shows a realm's services, calls and followers as they are now, until q or Ctrl-C",
  about:
    `UP are the instances that get new calls, of all there are; services in trouble come first. CALLED HERE is what goes
through one sidecar, this host's unless --admin names another: each second, those with errors first.
Where there is no terminal, or with --output json, it prints once and ends.`,
  flags: FLAGS,
  example: "./portolan top --realm testing",
  async run({ settings, args }, { out, openScreen }) {
    expectArgs(args, "no argument", 0);
    const { realm, output, controlPlane } = settings;
    const watch = new SidecarWatch(settings.admin, realm);
    if (openScreen && output === "table") {
      await live(controlPlane, realm, watch, openScreen);
      return EXIT.done;
    }
    const [map, fleet] = await Promise.all([readMap(controlPlane, realm, []), readFollowers(controlPlane, realm)]);
    const seen = { realm, ...map, fleet, sidecar: await lookTwice(watch) };
    out(output === "json" ? JSON.stringify(topJson(seen), null, 2) + "\n" : topText(seen));
    return EXIT.done;
  },
});

const EVERY_MS = 1_000;

/** A moment apart, so that there is something to tell. */
async function lookTwice(watch: SidecarWatch): Promise<SidecarSeen> {
  const { signal } = new AbortController();
  const first = await watch.look(signal);
  if (first.problem !== undefined) return first;
  await sleep(EVERY_MS, signal);
  return await watch.look(signal);
}

async function live(
  addresses: readonly string[],
  realm: string,
  watch: SidecarWatch,
  openScreen: () => Screen,
): Promise<void> {
  const address = await reach(addresses);
  const ending = new AbortController();
  await using following = look(addresses, address, { realm, services: [] }, SILENT);
  const state: State = { changed: new Map() };
  const watching = takeIn(following, state);
  const polling = Promise.all([
    poll(addresses, realm, state, ending.signal),
    pollSidecar(watch, state, ending.signal),
  ]);
  try {
    using stop = stopSignal();
    using screen = openScreen();
    const end = Promise.race([watching, stop.signalled, screen.quit]).finally(() => ending.abort());
    while (!ending.signal.aborted) {
      const problem = following.connected ? state.problem : "Not connected: this is how it was; trying again";
      if (state.map) screen.draw(topText({ realm, ...state.map, ...state, problem }, screen.size()));
      await Promise.race([end, sleep(EVERY_MS, ending.signal)]);
    }
  } catch (error) {
    throw error instanceof Failure ? error : failureOf((error as Error).cause, "follow the map", address);
  } finally {
    ending.abort();
    await polling;
  }
}

interface State {
  map?: Snapshot;
  fleet?: ListFollowersResponse;
  sidecar?: SidecarSeen;
  problem?: string;
  readonly changed: Map<string, number>;
}

/** Keeps the newest map, and counts what changed. */
async function takeIn(following: Following, state: State): Promise<void> {
  for await (const snapshot of following) {
    const before = state.map?.services;
    for (const name of before ? snapshot.changed : []) {
      const lines = changes(name, before?.get(name), snapshot.services.get(name)).length;
      state.changed.set(name, (state.changed.get(name) ?? 0) + lines);
    }
    state.map = snapshot;
  }
}

/** Keeps the newest list of followers: the map's watch does not bring it. */
async function poll(addresses: readonly string[], realm: string, state: State, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      state.fleet = await readFollowers(addresses, realm, signal);
      delete state.problem;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      state.problem = error.message;
    }
    await sleep(EVERY_MS, signal);
  }
}

async function pollSidecar(watch: SidecarWatch, state: State, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const seen = await watch.look(signal);
    if (!signal.aborted) state.sidecar = seen;
    await sleep(EVERY_MS, signal);
  }
}
