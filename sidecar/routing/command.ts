/** What can be said to a running worker. Servers that are not wanted any more are deleted apart from it, when they are quiet. */
import type { Form, Server } from "./plan.ts";

export type ServerCommand =
  /** In maintenance at first. */
  | { readonly kind: "add-server"; readonly slot: string; readonly server: Server; readonly form: Form }
  | { readonly kind: "set-weight"; readonly slot: string; readonly name: string; readonly weight: number }
  | {
    readonly kind: "set-state";
    readonly slot: string;
    readonly name: string;
    readonly state: "ready" | "maintenance";
  };

export type RouteCommand =
  /** Another value for a row that is there. */
  | { readonly kind: "set-route"; readonly key: string; readonly value: string }
  /** Rows that are not there, one after the other. */
  | { readonly kind: "add-routes"; readonly routes: ReadonlyMap<string, string> }
  /** All rows, exchanged at one instant. */
  | { readonly kind: "replace-routes"; readonly routes: ReadonlyMap<string, string> };

export type Command = ServerCommand | RouteCommand;
