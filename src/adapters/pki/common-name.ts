/**
 * The name in a gateway's certificate: who, on which link and pair, in which generation. OpenVPN compares it with the
 * one name that it expects, so a certificate of another generation is refused whatever signed it. The name reaches a
 * configuration file and log lines: letters, digits, "-" and "." are all it can hold.
 */
import { fail, succeed, type Result } from "../../core/result.js";
import type { PkiFault } from "./fault.js";

declare const brand: unique symbol;
export type CommonName = string & { readonly [brand]: "CommonName" };

/** RFC 5280, appendix A: ub-common-name. */
const lengthMax = 64;
const pattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

export function parseCommonName(text: string): Result<CommonName, PkiFault> {
  if (text.length <= lengthMax && pattern.test(text)) return succeed(text as CommonName);
  const message =
    `a certificate's name has lower case letters, digits, "-" and "." (at most ${lengthMax}): ` +
    `${JSON.stringify(text.slice(0, lengthMax))} has not`;
  return fail({ code: "CERTIFICATE_NAME_INVALID", message });
}
