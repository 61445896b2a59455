/** An instance of a service, and what it writes down. */
import { now } from "./clock.ts";
import { type Arrived, type InstanceName, rounded } from "./ledger.ts";

export interface InstanceSpec extends InstanceName {
  /** `http` is HTTP/1.1, WebSockets at `/ws` and HTTP/2 without TLS, all on one port. `tcp` sends back what it gets. */
  readonly protocol: "http" | "grpc" | "tcp";
}

export interface Instance {
  readonly port: number;
  /** Takes no more connections; ends those that there are at once, or when their requests are answered. */
  stop(gently: boolean): Promise<void>;
  /** The next so many answers break off in the middle. */
  drop?(answers: number): void;
}

/** Writes down that a request arrived, by its id as text, over the connection from this port. */
export type Arrive = (request: string | null | undefined, connection: number) => number;

/** The ledger of all instances of a process. */
export class Arrivals {
  readonly ledger = {
    origin: now(),
    instances: [] as InstanceName[],
    id: [] as number[],
    at: [] as number[],
    instance: [] as number[],
    connection: [] as number[],
  } satisfies Arrived;

  /** What an instance writes down with; answers with the request's id. */
  of({ id, service, version }: InstanceName): Arrive {
    const { ledger } = this;
    const instance = ledger.instances.push({ id, service, version }) - 1;
    return (request, connection) => {
      const number = Number(request ?? 0);
      ledger.id.push(number);
      ledger.at.push(rounded(now() - ledger.origin));
      ledger.instance.push(instance);
      ledger.connection.push(connection);
      return number;
    };
  }
}
