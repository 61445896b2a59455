/** Decides what becomes of aliases. */
import { findAlias, type Service } from "./cluster_map.ts";
import type { CommandOf } from "./command.ts";
import { accept, type Decision, moved, noService, tooLarge, unchanged } from "./decision.ts";
import { beginService } from "./decide_service.ts";
import { NO_REVISION } from "./names.ts";
import { refuse } from "./refusal.ts";
import { sameRoute } from "./route.ts";
import { aliasBytes } from "./size.ts";

export function decideAlias(command: CommandOf<"put_alias">, service: Service | undefined): Decision {
  const { alias: name, route, expected } = command;
  const before = findAlias(service, name);
  const refusal = moved(expected, before?.modified, `alias "${command.service}/${name}"`);
  if (refusal) return refusal;
  if (before && sameRoute(before.route, route)) return unchanged(before.modified);
  const growth = aliasBytes({ name, route }) - (before ? aliasBytes(before) : 0);
  const begin = service ? [] : [beginService()];
  return tooLarge(command, service, growth, "route") ?? accept(command, service, {
    changes: [...begin, { kind: "put_alias", alias: { name, route } }],
    relies: [{ alias: name, revision: before?.modified ?? NO_REVISION }],
    growth,
  });
}

export function decideNoAlias(command: CommandOf<"delete_alias">, service: Service | undefined): Decision {
  const { alias: name, expected } = command;
  const before = findAlias(service, name);
  const refusal = moved(expected, before?.modified, `alias "${command.service}/${name}"`);
  if (refusal) return refusal;
  if (!service) return noService(command);
  if (!before) {
    return refuse("not_found", `Cannot find alias "${name}" of service "${service.name}": it does not exist`);
  }
  return accept(command, service, {
    changes: [{ kind: "delete_alias", name }],
    relies: [{ alias: name, revision: before.modified }],
  });
}
