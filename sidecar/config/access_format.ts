/** What HAProxy says of each request and connection that has ended: one line of JSON. `access/ended.ts` reads it. */
import { line, type Text, Word } from "./text.ts";

/** Of requests. Headers are escaped, so that no value ends the line; a query may hold secrets and is left out. */
export function requestFormat(): Text {
  return line`  log-format ${Word.quoted(`{${[...COMMON, ...REQUEST].join()}}`)}`;
}

/** Of connections that are passed on as bytes. */
export function connectionFormat(): Text {
  return line`  log-format ${Word.quoted(`{${COMMON.join()}}`)}`;
}

const COMMON = [
  '"frontend":"%f"',
  '"backend":"%b"',
  '"server":"%s"',
  '"termination":"%ts"',
  '"retries":"%rc"',
  '"endMs":%[date(0,ms)]',
  '"queueMs":%Tw',
  '"connectMs":%Tc',
  '"totalMs":%Tt',
  '"bytesIn":%U',
  '"bytesOut":%B',
];

const REQUEST = [
  '"status":%ST',
  '"responseMs":%Tr',
  '"activeMs":%Ta',
  '"method":"%[capture.req.method,json(utf8s)]"',
  '"path":"%[capture.req.uri,field(1,?),bytes(0,512),json(utf8s)]"',
  '"route":"%[var(txn.route),bytes(0,128),json(utf8s)]"',
  '"flow":"%[var(txn.flow),bytes(0,128),json(utf8s)]"',
  '"call":"%[var(txn.call),bytes(0,128),json(utf8s)]"',
  '"attempt":"%[var(txn.attempt),bytes(0,128),json(utf8s)]"',
  '"later":"%[var(txn.later)]"',
];
