import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Check_Kind,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
  ServiceSpecSchema,
} from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { specChanges, specWords } from "./spec.ts";

const words = (spec: MessageInitShape<typeof ServiceSpecSchema>) =>
  Object.fromEntries(specWords(create(ServiceSpecSchema, spec)));

Deno.test("specWords() says the contract's defaults for what is not set", () => {
  const defaults = {
    protocol: "HTTP1",
    check: "TCP every 2s, rise 2, fall 3",
    balancer: "P2C",
    limits: "none",
    "local port": "none",
    policy: "default",
  };
  assert.deepEqual(Object.fromEntries(specWords(undefined)), defaults);
  assert.deepEqual(words({}), defaults);
});

Deno.test("specWords() says what is set", () => {
  const said = words({
    protocol: ServiceSpec_Protocol.TCP,
    check: { kind: Check_Kind.HTTP, path: "/healthz", interval: { seconds: 0n, nanos: 500_000_000 }, rise: 1, fall: 5 },
    balancer: ServiceSpec_Balancer.RING_HASH,
    limits: { maxConnections: 10, maxQueue: 2 },
    localPort: 5432,
    policy: { maxAttempts: 2, statuses: { codes: [502] } },
  });
  assert.deepEqual(said, {
    protocol: "TCP",
    check: "HTTP /healthz every 0.5s, rise 1, fall 5",
    balancer: "RING_HASH",
    limits: "10 connections, 2 waiting",
    "local port": "5432",
    policy: 'maxAttempts=2 statuses={"codes":[502]}',
  });
  assert.equal(words({ check: { kind: Check_Kind.GRPC } })["check"], "GRPC every 2s, rise 2, fall 3");
  assert.equal(words({ limits: { maxConnections: 10 } })["limits"], "10 connections");
});

Deno.test("specChanges() says the fields that differ alone", () => {
  const spec = (init: MessageInitShape<typeof ServiceSpecSchema>) => create(ServiceSpecSchema, init);
  assert.deepEqual(specChanges(undefined, spec({})), []);
  assert.deepEqual(specChanges(spec({ localPort: 1 }), spec({ localPort: 2 })), ["local port 2"]);
});
