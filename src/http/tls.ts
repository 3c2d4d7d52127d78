/**
 * TLS of the status server: its certificate, and whose clients it answers. The files are read again now and then, so that
 * a renewed certificate is served without a restart; ones that cannot be used leave the last ones in use.
 */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";

export interface ServiceTls {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Only clients with a certificate of this authority are answered; null: whoever reaches the port. */
  readonly clientAuthorityFile: string | null;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

/** @throws Error of the system or of OpenSSL when a file is missing, or the two do not belong together */
export async function readMaterial(tls: ServiceTls): Promise<TlsMaterial> {
  const { certificateFile, keyFile, clientAuthorityFile } = tls;
  const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)]);
  const ca = clientAuthorityFile === null ? undefined : await readFile(clientAuthorityFile);
  createSecureContext({ cert, key, ca });
  return { cert, key, ca };
}

export function isSameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  const isSameAuthority = one.ca === undefined || other.ca === undefined ? one.ca === other.ca : one.ca.equals(other.ca);
  return one.cert.equals(other.cert) && one.key.equals(other.key) && isSameAuthority;
}
