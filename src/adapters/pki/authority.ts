/**
 * A certificate authority of the hub: one self-signed root that signs leaf certificates of gateways, each for one site, pair and
 * generation, and for a short time. Roots overlap: sites trust a bundle of the old and the new one until both ends of every
 * pair hold certificates of the new.
 * Invariant: subject, use and lifetime of a certificate are the hub's; of the request only the public key is taken.
 */
import { generateKeyPairSync, randomBytes, webcrypto } from "node:crypto";
import { limits } from "../../core/limits.js";
import { fail, succeed, type Result } from "../../core/result.js";
import { Secret } from "../crypto/secret.js";
import type { CommonName } from "./common-name.js";
import type { PkiFault } from "./fault.js";
import { loadX509, signing, type X509 } from "./library.js";
import { encodePem } from "./pem.js";
import { checkRequest } from "./request.js";

/** The end that listens, or the one that dials: a certificate serves for one of the two. */
export type GatewayRole = "server" | "client";

export interface LeafOrder {
  readonly name: CommonName;
  readonly role: GatewayRole;
  readonly requestPem: string;
  readonly now: Date;
  readonly lifetimeMs: number;
}

export interface NewAuthority {
  readonly certificatePem: string;
  /** PKCS 8 as PEM. The caller writes it to a file and wipes it. */
  readonly privateKey: Secret;
}

export async function createAuthority(
  name: CommonName,
  now: Date,
  lifetimeMs: number,
): Promise<NewAuthority> {
  const x509 = await loadX509();
  const pair = generateKeyPairSync("ec", { namedCurve: signing.namedCurve });
  const der = pair.privateKey.export({ format: "der", type: "pkcs8" });
  try {
    const publicKey = await importPublic(pair.publicKey.export({ format: "der", type: "spki" }));
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(now, lifetimeMs),
      serialNumber: randomSerial(),
      name: [{ CN: [name] }],
      keys: { privateKey: await importPrivate(der), publicKey },
      signingAlgorithm: signing,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ],
    });
    return {
      certificatePem: `${certificate.toString("pem")}\n`,
      privateKey: new Secret(encodePem("PRIVATE KEY", der)),
    };
  } finally {
    der.fill(0);
  }
}

export class Authority {
  readonly certificatePem: string;
  readonly #x509: X509;
  readonly #certificate: InstanceType<X509["X509Certificate"]>;
  /** Not extractable: of this object nobody gets the key's bytes. */
  readonly #key: webcrypto.CryptoKey;

  /** @param keyDer PKCS 8, wiped here */
  static async open(certificatePem: string, keyDer: Buffer): Promise<Authority> {
    try {
      return new Authority(await loadX509(), certificatePem, await importPrivate(keyDer));
    } finally {
      keyDer.fill(0);
    }
  }

  private constructor(x509: X509, certificatePem: string, key: webcrypto.CryptoKey) {
    this.certificatePem = certificatePem;
    this.#x509 = x509;
    this.#certificate = new x509.X509Certificate(certificatePem);
    this.#key = key;
  }

  /** @returns the certificate as PEM, or why the request is refused */
  async issue(order: LeafOrder): Promise<Result<string, PkiFault>> {
    const checked = await checkRequest(order.requestPem, order.name);
    if (!checked.ok) return checked;
    const times = validity(order.now, order.lifetimeMs);
    if (times.notAfter > this.#certificate.notAfter) {
      const message = `the authority's own certificate ends before one of ${order.lifetimeMs} ms would: begin a new authority`;
      return fail({ code: "CERTIFICATE_REQUEST_REFUSED", message });
    }
    const certificate = await this.#x509.X509CertificateGenerator.create({
      ...times,
      serialNumber: randomSerial(),
      subject: [{ CN: [order.name] }],
      issuer: this.#certificate.subjectName,
      publicKey: checked.value.publicKey,
      signingKey: this.#key,
      signingAlgorithm: signing,
      extensions: await this.#leafExtensions(order.role, checked.value.publicKey),
    });
    return succeed(`${certificate.toString("pem")}\n`);
  }

  async #leafExtensions(
    role: GatewayRole,
    publicKey: InstanceType<X509["PublicKey"]>,
  ): Promise<InstanceType<X509["Extension"]>[]> {
    const x509 = this.#x509;
    const use = role === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    return [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([use]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(this.#certificate),
    ];
  }
}

/** Clocks of sites may be behind: a certificate is valid from a little before it was made. */
function validity(now: Date, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - limits.certificateSkewMs),
    notAfter: new Date(now.getTime() + lifetimeMs),
  };
}

/** 127 random bits, positive and never zero (RFC 5280, 4.1.2.2). */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function importPrivate(der: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", der, signing, false, ["sign"]);
}

function importPublic(der: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("spki", der, signing, true, ["verify"]);
}
