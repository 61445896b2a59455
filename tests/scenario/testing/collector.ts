/** A collector of OpenTelemetry's, as far as it hears traces and metrics over HTTP: it keeps all that it is told. */

export interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly attributes: Attributes;
}

export interface Point {
  readonly attributes: Attributes;
  /** Of a counter or a gauge. */
  readonly value?: number;
  /** Of a histogram. */
  readonly count?: number;
}

type Attributes = Readonly<Record<string, unknown>>;

export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly { readonly path: string; readonly type: string; readonly body: string }[];
  /** What came as JSON. */
  spans(): readonly Span[];
  /** The points of every metric as they were told last. */
  metrics(): ReadonlyMap<string, readonly Point[]>;
  /** `service.name` of all who told something. */
  services(): readonly string[];
}

export function startCollector(): Collector {
  const requests: { path: string; type: string; body: string }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.text();
    requests.push({ path: new URL(request.url).pathname, type: request.headers.get("content-type") ?? "", body });
    return Response.json({});
  });
  const told = <T>(path: string, resources: string, scopes: string) =>
    requests.filter((request) => request.path === path).flatMap(({ body }) =>
      (JSON.parse(body)[resources] as Told[]).flatMap((one) => one[scopes] as T[])
    );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    spans: () =>
      told<{ spans: Raw<Span>[] }>("/v1/traces", "resourceSpans", "scopeSpans").flatMap(({ spans }) => spans)
        .map((span) => ({ ...span, attributes: plain(span.attributes) })),
    metrics: () => {
      const all = told<{ metrics: RawMetric[] }>("/v1/metrics", "resourceMetrics", "scopeMetrics");
      return new Map(all.flatMap(({ metrics }) => metrics).map((metric) => [metric.name, pointsOf(metric)]));
    },
    services: () => {
      const resources = requests.flatMap(({ body }) => Object.values(JSON.parse(body)).flat() as Told[]);
      return [...new Set(resources.map(({ resource }) => String(plain(resource.attributes)["service.name"])))];
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

interface Told {
  readonly resource: { readonly attributes: readonly RawAttribute[] };
  readonly [scopes: string]: unknown;
}

interface RawAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

type Raw<T> = Omit<T, "attributes"> & { readonly attributes: readonly RawAttribute[] };

interface RawMetric {
  readonly name: string;
  readonly sum?: RawPoints;
  readonly gauge?: RawPoints;
  readonly histogram?: RawPoints;
}

interface RawPoints {
  readonly dataPoints: readonly Raw<{ readonly asDouble?: number; readonly asInt?: number; readonly count?: number }>[];
}

function pointsOf({ sum, gauge, histogram }: RawMetric): readonly Point[] {
  const { dataPoints } = sum ?? gauge ?? histogram ?? { dataPoints: [] };
  return dataPoints.map(({ attributes, asDouble, asInt, count }) => {
    const value = asDouble ?? asInt;
    return {
      attributes: plain(attributes),
      ...(value !== undefined && { value }),
      ...(count !== undefined && { count: Number(count) }),
    };
  });
}

/** An attribute's value is in a field named by its type. */
function plain(attributes: readonly RawAttribute[]): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
