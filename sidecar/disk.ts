/** Files that are whole on disk, or not there. */
import { dirname } from "node:path";

/** Puts `bytes` in place, for this user alone: after a crash the file is the old one or the new one. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await write(fresh, bytes);
    await Deno.rename(fresh, path);
    // The name is on disk only with the folder.
    using names = await Deno.open(dirname(path));
    await names.sync();
  } catch (error) {
    // On a full disk it would only be in the way.
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }
}

/** Removes a file, if there is one. */
export async function removeFile(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true, truncate: true, mode: 0o600 });
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  await file.syncData();
}
