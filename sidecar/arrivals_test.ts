import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { PositionSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Snapshot } from "../sdk-ts/follow.ts";
import { Arrivals } from "./arrivals.ts";

/** The map at a revision in which these names have changed. */
function at(revision: number, ...changed: readonly string[]): Snapshot {
  const position = create(PositionSchema, { epoch: 1n, revision: BigInt(revision) });
  return { position, services: new Map(), changed: new Set(changed) };
}

interface Step {
  readonly map: Snapshot;
  readonly pending?: readonly string[];
  /** Not set: it is not known what HAProxy does. */
  readonly waiting?: readonly string[];
}

/** Takes these steps; answers with what was reached by each: its revision, and what has changed. */
function take(arrivals: Arrivals, ...steps: readonly Step[]): readonly (string | undefined)[] {
  return steps.map(({ map, pending = [], waiting }) => {
    arrivals.expect(map, new Set(pending));
    const reached = waiting && arrivals.reached(new Set(waiting));
    return reached && [Number(reached.position.revision), ...[...reached.changed].sort()].join(" ");
  });
}

const both = ["pending", "waiting"] as const;

for (const why of both) {
  Deno.test(`a map is reached when nothing of it is ${why}, whatever is of newer ones`, () => {
    const step = (map: Snapshot, ...names: readonly string[]) => ({ map, waiting: [], [why]: names });
    const arrivals = new Arrivals();
    const reached = take(
      arrivals,
      step(at(1, "a")),
      step(at(2, "b"), "b"),
      step(at(3, "c"), "b", "c"),
      step(at(4, "d"), "c", "d"),
      step(at(5, "e"), "d", "e"),
      step(at(6, "f"), "e"),
      step(at(7)),
    );
    assert.deepEqual(reached, ["1 a", undefined, undefined, "2 b", "3 c", "4 d", "7 e f"]);
    assert.equal(arrivals.newest?.revision, 7n);
  });

  Deno.test(`a service that changes again while it is ${why} is missing of both maps until its newest form is there`, () => {
    const step = (map: Snapshot, ...names: readonly string[]) => ({ map, waiting: [], [why]: names });
    const arrivals = new Arrivals();
    const steps = [step(at(1, "a"), "a"), step(at(2, "b"), "a"), step(at(3, "a"), "a"), step(at(4, "c"), "a", "c")];
    assert.deepEqual(take(arrivals, ...steps), [undefined, undefined, undefined, undefined]);
    assert.deepEqual(take(arrivals, step(at(5), "c"), step(at(6))), ["3 a b", "6 c"]);
  });

  Deno.test(`a service that was there once, and is ${why} again, is not missing of that map`, () => {
    const step = (map: Snapshot, ...names: readonly string[]) => ({ map, waiting: [], [why]: names });
    const steps = [step(at(1), "a", "b"), step(at(2), "b"), step(at(3), "a", "b"), step(at(4), "a")];
    assert.deepEqual(take(new Arrivals(), ...steps), [undefined, undefined, undefined, "2"]);
  });
}

Deno.test("what is wanted by now counts only when HAProxy does it", () => {
  const steps = [
    { map: at(1), waiting: ["b"], pending: ["a"] },
    { map: at(2), waiting: ["a", "b"] },
    { map: at(3), waiting: ["a"] },
    { map: at(4), waiting: [] },
  ];
  assert.deepEqual(take(new Arrivals(), ...steps), [undefined, undefined, undefined, "4"]);
});

Deno.test("a map that is looked at again is told again", () => {
  const map = at(1, "a");
  const steps = [[], [], ["a"], ["a"], []].map((waiting) => ({ map, waiting }));
  assert.deepEqual(take(new Arrivals(), ...steps), ["1 a", "1 a", undefined, undefined, "1 a"]);
});

Deno.test("what is not known to be reached, or comes in a flood, is told with what comes after it", () => {
  const arrivals = new Arrivals();
  assert.deepEqual(take(arrivals, { map: at(1, "a") }, { map: at(2, "b"), waiting: [] }), [undefined, "2 a b"]);
  const names = Array.from({ length: 1_000 }, (_, at) => `s${at}`);
  const flood = names.map((name, i) => ({ map: at(3 + i, name), waiting: [], pending: names.slice(0, i + 1) }));
  assert.ok(take(arrivals, ...flood).every((reached) => reached === undefined));
  const rest = names.slice(0, 40).map((_, i) => ({
    map: at(1_003 + i),
    waiting: [],
    pending: names.slice(i + 1),
  }));
  const reached = take(arrivals, ...rest);
  assert.deepEqual(reached.slice(0, 31), names.slice(0, 31).map((name, i) => `${3 + i} ${name}`));
  assert.ok(reached.slice(31).every((reached) => reached === undefined));
  const [all] = take(arrivals, { map: at(2_000), waiting: [] });
  assert.equal(all, ["2000", ...names.slice(31).sort()].join(" "));
});

Deno.test("a first map waits for the addresses that it lacks, and for none that later ones do", () => {
  const arrivals = new Arrivals();
  const expect = (revision: number, ...pending: readonly string[]) =>
    arrivals.expect(at(revision, `s${revision}`), new Set(pending));
  assert.deepEqual([expect(1, "a", "b"), expect(2, "b", "c"), expect(3, "c", "d")], [false, false, true]);
  assert.equal(arrivals.reached(new Set())?.position.revision, 1n);
  assert.equal(expect(4, "c", "d", "e"), true);
  assert.equal(expect(5, "d"), true);
  assert.equal(arrivals.reached(new Set())?.position.revision, 2n);
});
