/** What tests of the SQLite store do with its file. */
import { DatabaseSync } from "node:sqlite";

/** A folder of the test's own, and a file in it that is not there yet. */
export async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, file: `${path}/map.db`, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** What somebody else does to a file while no store has it open. */
export function edit(file: string, sql: string): void {
  using database = new DatabaseSync(file);
  database.exec(sql);
}

/** The one number that a query finds in a file that no store has open. */
export function ask(file: string, sql: string): number {
  using database = new DatabaseSync(file);
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

/** Why another process cannot open a file as a store; nothing if it can. */
export async function refusalElsewhere(file: string): Promise<string> {
  const script = `
    import { openSqliteStore } from ${JSON.stringify(import.meta.resolve("../sqlite.ts"))};
    try { openSqliteStore(${JSON.stringify(file)}); } catch (error) { console.log(error.message); }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", script], stderr: "inherit" }).output();
  return new TextDecoder().decode(stdout).trim();
}
