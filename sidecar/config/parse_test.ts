import assert from "node:assert/strict";
import fc from "fast-check";
import { assign, settled } from "../routing/assign.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { parse } from "./parse.ts";
import { print } from "./print.ts";
import { TIMEOUTS } from "./print_base.ts";

const SETTINGS = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };

Deno.test("parse() reads back whatever print() writes", () => {
  fc.assert(
    fc.property(fc.array(someWanted, { maxLength: 4 }), fc.integer({ min: 1, max: 99 }), (maps, generation) => {
      const plan = maps.reduce((running, wanted) => assign(wanted, running, { spares: 3 }), EMPTY_PLAN);
      const { config, routes } = print(plan, SETTINGS, { generation });
      assert.deepEqual(parse(config.text, routes.text), { plan: settled(plan), generation, realm: "local" });
    }),
    { numRuns: 500 },
  );
});

Deno.test("parse() takes nothing for a plan that it does not know", () => {
  const { config, routes } = print(EMPTY_PLAN, SETTINGS, { generation: 1 });
  assert.equal(parse("", ""), undefined);
  assert.equal(parse(config.text.replace("# next slot", "# last slot"), routes.text), undefined);
  assert.equal(parse(config.text + "# identity: half\nbackend b001 from service\n", routes.text), undefined);
  assert.equal(parse(config.text + "# identity: version 1, new\nbackend b001 from service\n", routes.text), undefined);
  assert.equal(parse(config.text, "identity/1\n"), undefined);
});
