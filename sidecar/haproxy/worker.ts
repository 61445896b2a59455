/** The commands of a transition, said to the worker that runs, each answer checked. */
import type { Command, RouteCommand, ServerCommand } from "../routing/command.ts";
import { commandText, deleteText, isDeleted, isDone } from "./command_text.ts";
import { ROUTES_FILE } from "../config/names.ts";
import { rowText } from "../config/print.ts";
import { CommandSocket, MAX_COMMAND_BYTES } from "./command_socket.ts";
import type { ServerRef } from "../routing/plan.ts";
import { joined, phrase, type Text, Word } from "../config/text.ts";

/** The worker did not do what it was told: what it runs is not known any more. */
export class Unexpected extends Error {
  override readonly name = "Unexpected";
}

/** Says `commands` in their order over one connection. Throws `Unexpected` at the first that is not done. */
export async function command(socketPath: string, commands: readonly Command[]): Promise<void> {
  using socket = await CommandSocket.open(socketPath);
  for (let at = 0; at < commands.length;) {
    const next = commands[at] as Command;
    if (isRoutes(next)) {
      await routes(socket, next);
      at++;
    } else {
      const group = serverGroup(commands, at);
      await servers(socket, group);
      at += group.length;
    }
  }
}

/** Deletes what is in maintenance; answers with the names that are gone. One with connections stays for later. */
export async function deleteServers(
  socketPath: string,
  servers: readonly ServerRef[],
): Promise<readonly ServerRef[]> {
  using socket = await CommandSocket.open(socketPath);
  const answers = await socket.askAll(servers.map(deleteText));
  return servers.filter((_, at) => isDeleted(answers[at] ?? ""));
}

/** The process id of the worker at a socket. */
export async function workerPid(socketPath: string): Promise<number> {
  using socket = await CommandSocket.open(socketPath);
  const pid = Number(/^Pid: ([0-9]+)$/m.exec(await socket.ask(phrase`show info`))?.[1]);
  if (!(pid > 0)) throw new Error("Cannot read the worker's process id");
  return pid;
}

function isRoutes(command: Command): command is RouteCommand {
  return command.kind === "replace-routes" || command.kind === "add-routes" || command.kind === "set-route";
}

/** Commands for servers up to the next for routes: routes wait until all before them is done. */
function serverGroup(commands: readonly Command[], from: number): readonly ServerCommand[] {
  const group: ServerCommand[] = [];
  for (const command of commands.slice(from)) {
    if (isRoutes(command)) break;
    group.push(command);
  }
  return group;
}

async function servers(socket: CommandSocket, commands: readonly ServerCommand[]): Promise<void> {
  const texts = commands.map(commandText);
  const answers = await socket.askAll(texts);
  commands.forEach((command, at) => expect(texts[at] as Text, answers[at] ?? "", isDone(command, answers[at] ?? "")));
}

const ROUTES = Word.fileName(ROUTES_FILE);

async function routes(socket: CommandSocket, command: RouteCommand): Promise<void> {
  if (command.kind === "set-route") return inPlace(socket, "set", [[command.key, command.value]]);
  if (command.kind === "add-routes") return inPlace(socket, "add", [...command.routes]);
  const prepare = phrase`prepare map ${ROUTES}`;
  const answer = await socket.ask(prepare);
  const version = Number(/^New version created: ([0-9]+)$/.exec(answer)?.[1]);
  expect(prepare, answer, version > 0);
  const before = await entryCount(socket);
  for (const rows of chunks(command.routes)) {
    await socket.ask(phrase`add map @${version} ${ROUTES}`, rows);
  }
  const added = await entryCount(socket) - before;
  if (added !== command.routes.size) {
    await socket.ask(phrase`clear map @${version} ${ROUTES}`);
    throw new Unexpected(`the worker took ${added} of ${command.routes.size} rows`);
  }
  const commit = phrase`commit map @${version} ${ROUTES}`;
  const done = await socket.ask(commit);
  expect(commit, done, done === "");
}

type Row = readonly [key: string, value: string];

async function inPlace(socket: CommandSocket, verb: "set" | "add", rows: readonly Row[]): Promise<void> {
  const what = verb === "set" ? phrase`set map ${ROUTES}` : phrase`add map ${ROUTES}`;
  const texts = rows.map(([key, value]) => phrase`${what} ${Word.rowKey(key)} ${Word.rowValue(key, value)}`);
  const answers = await socket.askAll(texts);
  texts.forEach((text, at) => expect(text, answers[at] ?? "", answers[at] === ""));
}

/** Rows of all versions of the map, from the list of maps: the rows themselves would be much to read. */
async function entryCount(socket: CommandSocket): Promise<number> {
  const list = await socket.ask(phrase`show map`);
  const line = list.split("\n").find((text) => text.includes(`(${ROUTES_FILE})`));
  return Number(/ entry_cnt=([0-9]+)$/.exec(line ?? "")?.[1]);
}

function* chunks(rows: ReadonlyMap<string, string>): Generator<Text> {
  let chunk: Text[] = [];
  let size = 0;
  for (const [key, value] of rows) {
    const text = rowText(key, value);
    if (size + text.text.length > MAX_COMMAND_BYTES) {
      yield joined(chunk);
      chunk = [];
      size = 0;
    }
    chunk.push(text);
    size += text.text.length;
  }
  if (chunk.length > 0) yield joined(chunk);
}

function expect(command: Text, answer: string, good: boolean): void {
  if (!good) throw new Unexpected(`the worker answered "${answer}" to "${command.text}"`);
}
