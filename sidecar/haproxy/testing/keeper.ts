/** What a sidecar has of HAProxy, alone: its data folder, its HAProxy, and files for it. */
import assert from "node:assert/strict";
import { SILENT } from "../../../proto/log.ts";
import { parse, type Parsed } from "../../config/parse.ts";
import type { Timeouts } from "../../config/print_base.ts";
import { freePort } from "../../testing/rig.ts";
import { DataFolder } from "../data_folder.ts";
import { Haproxy, type HaproxyOptions } from "../haproxy.ts";
import { type Print, printer } from "./plans.ts";

/** What is in place, as the next sidecar reads it. */
export function parsed(data: DataFolder): Parsed {
  const files = data.readInstalled() ?? assert.fail("no files are in place");
  return parse(files.config, files.routes) ?? assert.fail("the files in place cannot be read");
}

export interface Keeper extends AsyncDisposable {
  readonly path: string;
  readonly data: DataFolder;
  readonly haproxy: Haproxy;
  /** Of the egress. */
  readonly port: number;
  readonly print: Print;
}

export interface KeeperOptions extends Partial<HaproxyOptions> {
  /** A folder that goes with it; default: a new one. */
  readonly path?: string;
  readonly port?: number;
  readonly timeouts?: Partial<Timeouts>;
}

/** HAProxy ends with it unless told otherwise. */
export async function openKeeper({ timeouts, port = freePort(), ...options }: KeeperOptions = {}): Promise<Keeper> {
  const path = options.path ?? await Deno.makeTempDir({ prefix: "haproxy-" });
  const data = await DataFolder.open(path);
  const haproxy = new Haproxy({ data, log: SILENT, stopWithSidecar: true, ...options });
  return {
    path,
    data,
    haproxy,
    port,
    print: printer(port, timeouts),
    async [Symbol.asyncDispose]() {
      await haproxy[Symbol.asyncDispose]();
      data[Symbol.dispose]();
      await Deno.remove(path, { recursive: true });
    },
  };
}
