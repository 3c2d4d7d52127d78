/** The name in the certificate of one end of one generation; hub and site come to the same. */
import { createHash } from "node:crypto";
import type { LinkName, PairIndex, SiteName } from "../../core/gateway/link.js";
import { assert } from "../../core/assert.js";
import { parseCommonName, type CommonName } from "./common-name.js";

/**
 * `SITE.LINK.pN.gM`. Names of sites and links hold no dot, so no two gateways share it. Where it is too long for a certificate, site and
 * link are told by a hash, and the name has one part less.
 */
export function gatewayName(site: SiteName, link: LinkName, pair: PairIndex, number: number): CommonName {
  const end = `p${pair}.g${number}`;
  const whole = parseCommonName(`${site}.${link}.${end}`);
  if (whole.ok) return whole.value;
  const hash = createHash("sha256").update(`${site}.${link}`).digest("hex").slice(0, 40);
  const short = parseCommonName(`${hash}.${end}`);
  assert(short.ok, "a hash and two numbers are a name");
  return short.value;
}
