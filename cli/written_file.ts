import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { EXIT, Failure } from "./command.ts";

/**
 * Writes a file whole or not at all: to a file beside it, to the disk, and then under its name. What stood there
 * before stands there until then. Answers with its size in bytes.
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  const beside = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  const file = attempt(path, () => openSync(beside, "wx"));
  let [size, open] = [0, true];
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) at += attempt(path, () => writeSync(file, chunk, at));
      size += chunk.length;
    }
    attempt(path, () => fsyncSync(file));
    closeSync(file);
    open = false;
    attempt(path, () => renameSync(beside, path));
  } catch (error) {
    if (open) closeSync(file);
    rmSync(beside, { force: true });
    throw error;
  }
  // The name, too, must be on the disk.
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
  return size;
}

function attempt<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    throw new Failure(EXIT.refused, `Cannot write "${path}": ${PLAIN[code ?? ""] ?? message}`, { cause: error });
  }
}

const PLAIN: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder is a file",
  EACCES: "not allowed here",
  EISDIR: "it is a folder",
  ENOSPC: "the disk is full",
  EROFS: "nothing can be written here",
};
