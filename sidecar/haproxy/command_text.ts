/** Commands as a worker's socket takes them. */
import type { ServerCommand } from "../routing/command.ts";
import type { ServerRef } from "../routing/plan.ts";
import { serverOptions } from "../config/print.ts";
import { phrase, type Text, Word } from "../config/text.ts";

/** The command as one line of text, without its end. */
export function commandText(command: ServerCommand): Text {
  const server = phrase`${Word.slot(command.slot)}/${nameOf(command)}`;
  switch (command.kind) {
    case "add-server": {
      const { host, port, weight } = command.server;
      return phrase`add server ${server} ${Word.socketAddress(host, port)} weight ${weight}${
        serverOptions(command.form)
      }`;
    }
    case "set-weight":
      return phrase`set server ${server} weight ${command.weight}`;
    case "set-state":
      return command.state === "ready"
        ? phrase`set server ${server} state ready`
        : phrase`set server ${server} state maint`;
  }
}

/** Whether the worker's answer says that the command is done. */
export function isDone(command: ServerCommand, answer: string): boolean {
  switch (command.kind) {
    case "add-server":
      return answer === "New server registered.";
    case "set-weight":
    case "set-state":
      return answer === "";
  }
}

export function deleteText({ slot, name }: ServerRef): Text {
  return phrase`del server ${Word.slot(slot)}/${Word.server(name)}`;
}

/** Whether it is not there any more; one that has connections stays. */
export function isDeleted(answer: string): boolean {
  return answer === "Server deleted." || answer === "No such server.";
}

function nameOf(command: ServerCommand): Word {
  return Word.server(command.kind === "add-server" ? command.server.name : command.name);
}
