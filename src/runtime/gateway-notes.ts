/** One log line per note of a hub or a site: constant message, facts beside it (style: logs). */
import type { HubNote } from "../core/gateway/hub/state.js";
import type { SiteNote } from "../core/gateway/site/state.js";
import type { Log } from "../ports/log.js";

export function logHubNote(log: Log, note: HubNote): void {
  switch (note.kind) {
    case "link-phase": {
      const { link, pair, number, phase } = note;
      const level = phase === "rolling-back" ? "warn" : "info";
      return log.write(level, "pair phase changed", { link, pair, generation: number, phase });
    }
    case "repair":
      return log.write("info", "no tunnel of the link works: the rotation repairs it", { link: note.link, pair: note.pair });
    case "rotation": {
      const level = note.outcome === "failed" ? "error" : note.outcome === "rolled-back" ? "warn" : "info";
      return log.write(level, "rotation", { link: note.link, outcome: note.outcome, why: note.why });
    }
    case "condition": {
      const { code, link, message } = note.condition;
      const level = code === "GATEWAY_VALIDITY_SHORT" || code === "GATEWAY_ROTATION_FAILED" ? "error" : "warn";
      return log.write(level, "condition", { code, link, why: message });
    }
  }
}

export function logSiteNote(log: Log, note: SiteNote): void {
  switch (note.kind) {
    case "doing":
      return log.write("info", "gateway", { link: note.link, what: note.what, pair: note.pair, generation: note.number });
    case "held":
      return log.write("error", "links missing from the registry are held", { code: "GATEWAY_LINKS_HELD", links: note.links.join(" ") });
    case "drained": {
      const { link, pair, number, isForced } = note;
      const message = isForced ? "old tunnel still in use at the end of its drain" : "old tunnel idle";
      return log.write(isForced ? "warn" : "info", message, { link, pair, generation: number });
    }
  }
}
