/**
 * The shared store of VPN links, beside that of a fleet (registry.ts) and in its style; one contract suite
 * (test/contract/gateway-registry.ts) is run by every adapter. The hub writes link records, by compare-and-set; each
 * site writes its reports; operators write requests. A site watches only what concerns it, so that a rotation of one
 * link is an event for two sites and not for all.
 */
import type { SiteName } from "../core/gateway/link.js";
import type { LinkRecord, LinkRequest, StoredLink } from "../core/gateway/record.js";
import type { SiteReport } from "../core/gateway/report.js";
import type { Done, Stop } from "./failure.js";
import type { WatchEvent } from "./registry.js";

export type { StoredLink } from "../core/gateway/record.js";

/** In the events of a watch `name` is that of the link, except for reports: there it is `reportName`. */
export interface GatewayRegistryPort {
  /** @param site null for all links, as the hub needs them */
  watchLinks(site: SiteName | null, listener: (event: WatchEvent<StoredLink>) => void): Stop;
  /** Compare-and-set, 0 for a new record; `REGISTRY_CONFLICT` otherwise. Returns the new version. The sites of a link never change. */
  writeLink(record: LinkRecord, expectedVersion: number, done: Done<number>): void;
  /** Takes the record away, with its reports and its request; compare-and-set as above. Removing the absent succeeds. */
  removeLink(record: LinkRecord, expectedVersion: number, done: Done<null>): void;

  /** `REGISTRY_NOT_ADMITTED` while there is no such link. */
  publishSiteReport(report: SiteReport, done: Done<null>): void;
  watchSiteReports(listener: (event: WatchEvent<SiteReport>) => void): Stop;

  /** Replaces an older request of the link. `REGISTRY_NOT_ADMITTED` while there is no such link. */
  putLinkRequest(request: LinkRequest, done: Done<null>): void;
  watchLinkRequests(listener: (event: WatchEvent<LinkRequest>) => void): Stop;

  close(): void;
}
