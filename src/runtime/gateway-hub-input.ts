/** All that can reach one hub from outside, as values. */
import type { LinkName } from "../core/gateway/link.js";
import type { Issued, LinkRequest, StoredLink } from "../core/gateway/record.js";
import type { SiteReport } from "../core/gateway/report.js";
import type { HubEffect, IssueFailure } from "../core/gateway/hub/state.js";
import type { WatchEvent } from "../ports/registry.js";

export type HubInput =
  | { readonly kind: "links"; readonly event: WatchEvent<StoredLink> }
  | { readonly kind: "reports"; readonly event: WatchEvent<SiteReport> }
  | { readonly kind: "requests"; readonly event: WatchEvent<LinkRequest> }
  | HubEffectEnd
  /** The effect failed: it stays under way, so that it is not asked for again before `retry-due`. */
  | { readonly kind: "failed"; readonly effect: HubEffect; readonly code: string; readonly message: string }
  | { readonly kind: "retry-due"; readonly effect: HubEffect };

/** The effect that was under way succeeded. */
export type HubEffectEnd =
  | { readonly kind: "link-written"; readonly stored: StoredLink }
  | { readonly kind: "link-removed"; readonly link: LinkName }
  | { readonly kind: "issued"; readonly link: LinkName; readonly issued: Issued }
  | { readonly kind: "roots-kept" };

export type { IssueFailure };
