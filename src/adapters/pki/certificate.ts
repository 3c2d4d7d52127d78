/** What a certificate says, read with the platform's own parser: for checks, for status and for the peer's fingerprint. */
import { X509Certificate } from "node:crypto";
import { fail, succeed, type Result } from "../../core/result.js";
import { parseCommonName, type CommonName } from "./common-name.js";
import type { PkiFault } from "./fault.js";

export interface CertificateFacts {
  readonly name: CommonName;
  /** SHA-256 of the certificate, as OpenVPN's peer-fingerprint takes it: 32 pairs of hex digits with colons. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function readCertificate(pem: string): Result<CertificateFacts, PkiFault> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return fail({ code: "CERTIFICATE_UNREADABLE", message: "the text is no certificate" });
  }
  const name = parseCommonName(/^CN=(.*)$/.exec(certificate.subject)?.[1] ?? "");
  if (!name.ok) return name;
  return succeed({
    name: name.value,
    fingerprint: certificate.fingerprint256,
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
  });
}

/** Was it signed by one of the bundle, and may that one sign? Times are not looked at. */
export function isSignedByOneOf(pem: string, roots: readonly string[]): boolean {
  const certificate = new X509Certificate(pem);
  return roots.map((root) => new X509Certificate(root)).some((root) => {
    return root.ca && certificate.checkIssued(root) && certificate.verify(root.publicKey);
  });
}
