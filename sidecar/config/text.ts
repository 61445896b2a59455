/**
 * The one way by which values come into HAProxy's files and onto its socket. A `Text` is made of constant text and of
 * `Word`s, and a word is made only of what has been checked here: no value brings a space, a line or a command along.
 */
import { isIP } from "node:net";
import { nameProblem, qualifierProblem, stickyHeaderProblem } from "../../proto/names.ts";
import { NO_INSTANCES, TCP_ONLY } from "../routing/plan.ts";
import { isSlot } from "../routing/slot.ts";
import { BACKEND_ANSWERS } from "./answers.ts";

/** A checked value. */
export class Word {
  private constructor(readonly text: string) {}

  /** Realm, service, instance id. */
  static name(text: string): Word {
    return Word.#checked("name", text, nameProblem(text));
  }

  /** An instance's id, and a number behind a dot after its address has changed. */
  static server(text: string): Word {
    const [id = "", number, ...more] = text.split(".");
    const problem = number === undefined || /^[1-9][0-9]{0,8}$/.test(number) ? nameProblem(id) : "expected a number";
    return Word.#checked("server", text, more.length > 0 ? "expected at most one dot" : problem);
  }

  /** A service as callers name it: `identity`, `canary.identity`, `v42.identity`. */
  static route(text: string): Word {
    const [service = "", qualifier, ...more] = text.split(".").reverse();
    const problem = nameProblem(service) ?? (qualifier === undefined ? undefined : qualifierProblem(qualifier));
    return Word.#checked("route", text, more.length > 0 ? "expected at most one dot" : problem);
  }

  /** A request header's name. */
  static header(text: string): Word {
    return Word.#checked("header", text, stickyHeaderProblem(text));
  }

  /** The name of a backend that answers itself. */
  static ownBackend(text: string): Word {
    return Word.#checked("backend", text, BACKEND_ANSWERS.has(text) ? undefined : "expected one that has an answer");
  }

  /** The name of a pool's backend. */
  static slot(text: string): Word {
    return Word.#checked("slot", text, isSlot(text) ? undefined : "expected b and a number");
  }

  /** Key of a row of the map file: a route, and the first digits of buckets or `s`. */
  static rowKey(text: string): Word {
    const [route = "", end = "", ...more] = text.split("/");
    const good = /^(?:p?1[0-9]{0,4}|s)$/.test(end) && more.length === 0;
    return Word.#checked("row", `${Word.route(route).text}/${end}`, good ? undefined : "expected a route and digits");
  }

  /** What a row of the map file leads to. */
  static rowValue(key: string, text: string): Word {
    if (key.endsWith("/s")) return Word.header(text);
    return text === NO_INSTANCES || text === TCP_ONLY ? new Word(text) : Word.slot(text);
  }

  /** An IP literal. */
  static ip(text: string): Word {
    const good = isIP(text) !== 0 && /^[0-9a-f.:]+$/.test(text);
    return Word.#checked("address", text, good ? undefined : "expected an IP address");
  }

  /** An IP literal and a port. */
  static socketAddress(host: string, port: number): Word {
    const ip = Word.ip(host).text;
    return new Word(`${ip.includes(":") ? `[${ip}]` : ip}:${numeral(port)}`);
  }

  /** A file or socket of the program's own, in HAProxy's working directory. */
  static fileName(text: string): Word {
    const good = /^[a-z0-9]+(?:[./-][a-z0-9]+)*$/.test(text);
    return Word.#checked("file name", text, good ? undefined : "expected a relative path");
  }

  /** A sentence, pattern or document of the program itself, in the quotes that keep everything as it is. */
  static quoted(text: string): Word {
    const good = /^[ -~]*$/.test(text) && !text.includes("'");
    return new Word(
      `'${Word.#checked("text", text, good ? undefined : "expected printable text without quotes").text}'`,
    );
  }

  static #checked(what: string, text: string, problem: string | undefined): Word {
    if (problem === undefined) return new Word(text);
    throw new TypeError(`Cannot write ${what} ${JSON.stringify(text)} to HAProxy: ${problem}`);
  }
}

let make: (text: string) => Text;

/** Text that may be written: made by {@link line}, {@link phrase} and {@link joined} alone. */
export class Text {
  private constructor(readonly text: string) {}

  static {
    make = (text) => new Text(text);
  }
}

/** A line, with its end: ``line`server ${name} ${address} weight ${100}` ``. */
export function line(constants: TemplateStringsArray, ...values: readonly (Word | Text | number)[]): Text {
  return make(String.raw({ raw: constants }, ...values.map(plain)) + "\n");
}

/** A part of a line. */
export function phrase(constants: TemplateStringsArray, ...values: readonly (Word | Text | number)[]): Text {
  return make(String.raw({ raw: constants }, ...values.map(plain)));
}

export function joined(texts: Iterable<Text>, between: "" | " " = ""): Text {
  return make(Array.from(texts, ({ text }) => text).join(between));
}

function plain(value: Word | Text | number): string {
  if (typeof value === "number") return numeral(value);
  if (value instanceof Word || value instanceof Text) return value.text;
  throw new TypeError(`Cannot write ${JSON.stringify(value)} to HAProxy: expected a checked word`);
}

function numeral(value: number): string {
  if (Number.isSafeInteger(value) && value >= 0) return String(value);
  throw new TypeError(`Cannot write number ${value} to HAProxy: expected a whole number from 0`);
}
