/**
 * Certificate requests. A site makes its key and asks with a request; the key never leaves the site. The hub takes nothing from
 * a request but the public key, and refuses one that asks for anything more than the name it was told to expect.
 */
import { generateKeyPairSync, webcrypto } from "node:crypto";
import { limits } from "../../core/limits.js";
import { fail, succeed, type Result } from "../../core/result.js";
import { Secret } from "../crypto/secret.js";
import type { CommonName } from "./common-name.js";
import type { PkiFault } from "./fault.js";
import { loadX509, signing, type X509 } from "./library.js";
import { encodePem } from "./pem.js";

export interface KeyAndRequest {
  /** PKCS 8 as PEM, as OpenVPN reads it. The caller wipes it. */
  readonly privateKey: Secret;
  readonly requestPem: string;
}

export async function makeRequest(name: CommonName): Promise<KeyAndRequest> {
  const x509 = await loadX509();
  const pair = generateKeyPairSync("ec", { namedCurve: signing.namedCurve });
  const der = pair.privateKey.export({ format: "der", type: "pkcs8" });
  try {
    const publicDer = pair.publicKey.export({ format: "der", type: "spki" });
    const keys = {
      privateKey: await webcrypto.subtle.importKey("pkcs8", der, signing, false, ["sign"]),
      publicKey: await webcrypto.subtle.importKey("spki", publicDer, signing, true, ["verify"]),
    };
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: signing,
    });
    return {
      privateKey: new Secret(encodePem("PRIVATE KEY", der)),
      requestPem: request.toString("pem"),
    };
  } finally {
    der.fill(0);
  }
}

export type Request = InstanceType<X509["Pkcs10CertificateRequest"]>;

/** @param text as it came: nothing about it is trusted */
export async function checkRequest(
  text: string,
  expected: CommonName,
): Promise<Result<Request, PkiFault>> {
  if (text.length > limits.gatewayPemBytesMax) return invalid("it is too long");
  if (!onePem.test(text)) return invalid("it is not one PEM block of a certificate request");
  const x509 = await loadX509();
  let request: Request;
  try {
    request = new x509.Pkcs10CertificateRequest(text);
    if (!isOurAlgorithm(request)) return refused("its key or signature is not ECDSA on P-256 with SHA-256");
    if (!(await request.verify())) return refused("its signature is not by its key");
  } catch {
    return invalid("it cannot be read");
  }
  if (!hasOnlyName(request, expected)) return refused(`its subject is not exactly CN=${expected}`);
  if (request.attributes.length > 0) return refused("it asks for extensions or other attributes");
  return succeed(request);
}

const onePem =
  /^-----BEGIN CERTIFICATE REQUEST-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE REQUEST-----\s*$/;

function isOurAlgorithm({ publicKey, signatureAlgorithm }: Request): boolean {
  const key: { name?: string; namedCurve?: string } = publicKey.algorithm;
  const signature: { name?: string; hash: { name?: string } } = signatureAlgorithm;
  return (
    key.name === signing.name &&
    key.namedCurve === signing.namedCurve &&
    signature.name === signing.name &&
    signature.hash.name === signing.hash
  );
}

function hasOnlyName(request: Request, expected: CommonName): boolean {
  const parts = request.subjectName.toJSON();
  const values = parts.length === 1 ? parts[0]!["CN"] : undefined;
  return (
    Object.keys(parts[0] ?? {}).length === 1 && values?.length === 1 && values[0] === expected
  );
}

function invalid(why: string): Result<never, PkiFault> {
  return fail({ code: "CERTIFICATE_REQUEST_INVALID", message: `the certificate request is unusable: ${why}` });
}

function refused(why: string): Result<never, PkiFault> {
  return fail({ code: "CERTIFICATE_REQUEST_REFUSED", message: `the certificate request is refused: ${why}` });
}
