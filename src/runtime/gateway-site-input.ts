/** All that can reach one site from outside, as values. */
import type { LinkName } from "../core/gateway/link.js";
import type { LinkRecord, StoredLink } from "../core/gateway/record.js";
import type { LinkObservation, SiteReport } from "../core/gateway/report.js";
import type { SiteEffect } from "../core/gateway/site/state.js";
import type { WatchEvent } from "../ports/registry.js";

export type SiteInput =
  | { readonly kind: "links"; readonly event: WatchEvent<StoredLink> }
  /** Something of the link changed by itself. */
  | { readonly kind: "touched"; readonly link: LinkName }
  | { readonly kind: "ended"; readonly effect: SiteEffect; readonly end: SiteEffectEnd }
  /** The effect failed, and waits until `retry-due`. */
  | { readonly kind: "failed"; readonly effect: SiteEffect; readonly code: string; readonly message: string }
  | { readonly kind: "retry-due"; readonly effect: SiteEffect };

export type SiteEffectEnd =
  | { readonly kind: "links-saved"; readonly links: ReadonlyMap<LinkName, LinkRecord> }
  | { readonly kind: "observed"; readonly observation: LinkObservation }
  | { readonly kind: "prepared"; readonly csr: string }
  | { readonly kind: "report-published"; readonly report: SiteReport }
  /** The link is changed; what it is now, the next observation says. */
  | { readonly kind: "deed-done" };
