/** What every program says of its own process. */
import type { Metrics } from "./metrics.ts";
import { VERSION } from "./version.ts";

export function addProcessGauges(metrics: Metrics): void {
  metrics.gauge("process_resident_memory_bytes", "Memory of this process", () => Deno.memoryUsage().rss);
  metrics.gauge("process_heap_bytes", "Memory in use by its objects", () => Deno.memoryUsage().heapUsed);
  const labels = { version: VERSION, deno: Deno.version.deno };
  metrics.gauge("portolan_build_info", "Always 1: what runs is in the labels", () => [{ labels, value: 1 }]);
}
