/** Issues the certificates of gateways. Keys of roots stay behind this port; keys of sites never come here. */
import type { Credentials, TrustRoot } from "../core/gateway/record.js";
import type { Fingerprint, Link, PairIndex, Side } from "../core/gateway/link.js";
import type { Done } from "./failure.js";

export interface IssueOrder {
  readonly link: Link;
  readonly pair: PairIndex;
  readonly number: number;
  readonly slot: 0 | 1;
  /** PEM, as the sites made them: hostile until checked. */
  readonly csrs: Readonly<Record<Side, string>>;
}

export interface Issued {
  readonly credentials: Credentials;
  readonly root: TrustRoot;
}

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
