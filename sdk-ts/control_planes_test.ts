import assert from "node:assert/strict";
import { ControlPlanes } from "./control_planes.ts";

Deno.test("ControlPlanes go on to the next one once, however many calls fail at one, and however late", () => {
  const planes = new ControlPlanes(["a:1", "b:1", "a:1"]);
  const failures = [[0, "b:1", 1], [0, "b:1", 1], [1, "a:1", 2], [0, "a:1", 2], [2, "a:1", 0]] as const;
  for (const [failed, address, at] of failures) {
    planes.failed(failed);
    assert.deepEqual(planes.current, { address, at });
  }
});
