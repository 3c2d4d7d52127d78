/** Issues the certificates of gateways. Keys of roots stay behind this port; keys of sites never come here. */
import type { Fingerprint } from "../core/gateway/link.js";
import type { Issued, IssueOrder } from "../core/gateway/record.js";
import type { Done } from "./failure.js";

export type { Issued, IssueOrder } from "../core/gateway/record.js";

export interface IssuerPort {
  /**
   * Both certificates of one generation, under the present root. The subject is made of link, site, pair and number,
   * never of what the CSR says. The same order may be issued again after a crash: only what stands in the link record
   * counts. Code: `GATEWAY_CSR_REFUSED` (not retryable) for a request that does not verify.
   */
  issue(order: IssueOrder, done: Done<Issued>): void;
  /** No link needs any other root: keys of roots that are neither listed nor the present one may be destroyed. */
  keepRoots(used: readonly Fingerprint[], done: Done<null>): void;
}
