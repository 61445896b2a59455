/** Requests as an SDK sends them to the sidecar. */

export const PATH = "/users/7";

/** Of a first attempt. */
export function sdkHeaders(service: string): Readonly<Record<string, string>> {
  return {
    "portolan-service": service,
    "portolan-realm": "local",
    "portolan-flow": "0af7651916cd43dd8448eb211c80319c",
    "portolan-call": "0af7651916cd43dd-17",
    "portolan-timeout-ms": "10000",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
}
