import { FAULTS } from "./faults.ts";
import { SEED_VARIABLE, seedOfRun, withSeed } from "./seed.ts";

const seed = seedOfRun();

for (const { name, fault, missing, small } of FAULTS) {
  const why = missing();
  Deno.test({
    name: `${name}: ${fault}${why === undefined ? "" : ` (not here: ${why})`}`,
    ignore: why !== undefined,
    async fn() {
      const replay = `${SEED_VARIABLE}=${seed} ./portolan test tests/faults/faults_test.ts`;
      await withSeed({ seed, replay, withinMs: 120_000 }, (chance) => small.run(chance));
    },
  });
}
