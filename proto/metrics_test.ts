import assert from "node:assert/strict";
import fc from "fast-check";
import { BOUNDS, Metrics } from "./metrics.ts";
import { Exposition } from "./testing/exposition.ts";

Deno.test("metrics print as Prometheus' text format has it", () => {
  const metrics = new Metrics();
  const asked = metrics.counter("asked_total", "What was asked.\nA \\ is a backslash", ["method", "code"]);
  metrics.gauge("depth", "How deep", () => 1.5);
  metrics.gauge("size", "Per room", () => [{ labels: { room: 'a"\\\n' }, value: -1 }, { labels: {}, value: Infinity }]);
  const took = metrics.histogram("took_seconds", "How long");
  asked.add("Register", "OK");
  asked.add("Register", "OK");
  asked.add("Register", "NOT_FOUND");
  took.observe(0.1);
  took.observe(0.3);
  took.observe(60_000);
  assert.equal(
    metrics.text().replace(/(took_seconds_bucket\{le="0.001"\})[^]*(took_seconds_bucket\{le="10"\})/, "$1…$2"),
    String.raw`# HELP asked_total What was asked.\nA \\ is a backslash
# TYPE asked_total counter
asked_total{method="Register",code="OK"} 2
asked_total{method="Register",code="NOT_FOUND"} 1
# HELP depth How deep
# TYPE depth gauge
depth 1.5
# HELP size Per room
# TYPE size gauge
size{room="a\"\\\n"} -1
size +Inf
# HELP took_seconds How long
# TYPE took_seconds histogram
took_seconds_bucket{le="0.0001"} 1
took_seconds_bucket{le="0.00025"} 1
took_seconds_bucket{le="0.0005"} 2
took_seconds_bucket{le="0.001"}…took_seconds_bucket{le="10"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 60.0004
took_seconds_count 3
`,
  );
  assert.equal(new Exposition(metrics.text()).value("size", { room: 'a"\\\n' }), -1);
});

Deno.test("a histogram counts every value at and below a bound", () => {
  const ms = fc.oneof(
    fc.constantFrom(...BOUNDS.map((bound) => bound * 1_000)),
    fc.double({ min: 0, max: 1e5, noNaN: true }),
  );
  fc.assert(fc.property(fc.array(ms), (all) => {
    const metrics = new Metrics();
    const histogram = metrics.histogram("took_seconds", "How long");
    const also: number[] = [];
    histogram.also = (seconds) => also.push(seconds);
    for (const one of all) histogram.observe(one);
    const printed = new Exposition(metrics.text());
    for (const bound of [...BOUNDS, Infinity]) {
      const le = bound === Infinity ? "+Inf" : String(bound);
      const expected = all.filter((one) => one / 1_000 <= bound).length;
      assert.equal(printed.value("took_seconds_bucket", { le }), expected);
    }
    assert.deepEqual(also, all.map((one) => one / 1_000));
  }));
});

Deno.test("a counter keeps its series apart, whatever their labels hold", () => {
  const text = fc.string({ unit: fc.constantFrom(...'az é{}=," \\\n\r'), maxLength: 5 });
  const values = fc.tuple(text, text);
  fc.assert(
    fc.property(fc.array(values), (all) => {
      const metrics = new Metrics();
      const counter = metrics.counter("asked_total", "What was asked", ["method", "code"]);
      for (const one of all) counter.add(...one);
      const printed = new Exposition(metrics.text());
      for (const [method, code] of all) {
        const expected = all.filter((one) => one[0] === method && one[1] === code).length;
        assert.equal(printed.value("asked_total", { method, code }), expected);
      }
      assert.equal(printed.all("asked_total").length, new Set(all.map((one) => JSON.stringify(one))).size);
    }),
    { numRuns: 30 },
  );
});

Deno.test("a histogram keeps its series apart, and forgets with a counter what it is told to", () => {
  const metrics = new Metrics();
  const answered = metrics.counter("answered_total", "Answers", ["service", "version", "code"]);
  const took = metrics.histogram("took_seconds", "How long", ["service", "version"]);
  const seen: unknown[] = [];
  took.also = (seconds, labels) => seen.push([seconds, labels]);
  const all = [["identity", "1"], ["identity", "2"], ["teams", "1"]] as const;
  for (const [service, version] of all) {
    answered.add(service, version, "2xx");
    answered.add(service, version, "5xx");
    took.observe(service === "teams" ? 3 : 7, service, version);
  }
  assert.deepEqual(seen[0], [0.007, { service: "identity", version: "1" }]);
  const known = () => {
    const printed = new Exposition(metrics.text());
    return all.map(([service, version]) => {
      const sum = printed.value("took_seconds_sum", { service, version });
      const below = printed.value("took_seconds_bucket", { service, version, le: "0.005" });
      return [sum, below, printed.value("answered_total", { service, version, code: "5xx" })];
    });
  };
  const [gone, slow, fast] = [[undefined, undefined, undefined], [0.007, 0, 1], [0.003, 1, 1]];
  assert.deepEqual(known(), [slow, slow, fast]);
  for (const one of [answered, took]) one.forget("identity", "1");
  assert.deepEqual(known(), [gone, slow, fast]);
  for (const one of [answered, took]) one.forget("identity");
  for (const one of [answered, took]) one.forget("never", "1");
  assert.deepEqual(known(), [gone, gone, fast]);
  answered.add("identity", "1", "5xx");
  assert.deepEqual(known()[0], [undefined, undefined, 1]);
});

Deno.test("what somebody else counts is a counter too", () => {
  const metrics = new Metrics();
  metrics.count("dropped_total", "Lines that nobody took", () => 3);
  assert.equal(new Exposition(metrics.text()).value("dropped_total"), 3);
});

Deno.test("a name is measured once", () => {
  const metrics = new Metrics();
  metrics.gauge("depth", "How deep", () => 0);
  assert.throws(() => metrics.histogram("depth", "How deep"), /Cannot measure "depth": it is measured already/);
});

Deno.test("Exposition refuses what Prometheus would", () => {
  const good = "# HELP a_total x\n# TYPE a_total counter\na_total 1\n";
  assert.deepEqual(new Exposition(good).names(), ["a_total"]);
  const histogram = (buckets: string, count = 2) =>
    `# HELP a x\n# TYPE a histogram\n${buckets}a_sum 1\na_count ${count}\n`;
  const buckets = 'a_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\n';
  new Exposition(histogram(buckets));
  const bad = {
    "no newline at the end": good.slice(0, -1),
    "a series twice": good + "a_total 2\n",
    "a type twice": good + good,
    "a family in two places": good + '# HELP b x\n# TYPE b gauge\nb 1\na_total{x="1"} 1\n',
    "no help": "# TYPE a_total counter\na_total 1\n",
    "a counter without _total": "# HELP a x\n# TYPE a counter\na 1\n",
    "no type": "# HELP a x\na 1\n",
    "a label twice": good.replace("a_total 1", 'a_total{x="1",x="2"} 1'),
    "a quote": good.replace("a_total 1", 'a_total{x="""} 1'),
    "no number": good.replace(" 1", " one"),
    "bounds that fall": histogram('a_bucket{le="2"} 1\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\n'),
    "counts that fall": histogram('a_bucket{le="1"} 3\na_bucket{le="+Inf"} 2\n'),
    "another count": histogram(buckets, 3),
    "no last bucket": histogram('a_bucket{le="1"} 2\n'),
    "a series without a sum": histogram(buckets + buckets.replaceAll("{", '{x="1",') + 'a_count{x="1"} 2\n'),
    "a series without a last bucket": histogram(
      buckets + 'a_bucket{x="1",le="1"} 2\na_sum{x="1"} 1\na_count{x="1"} 2\n',
    ),
  };
  for (const [what, text] of Object.entries(bad)) assert.throws(() => new Exposition(text), Error, what);
});
