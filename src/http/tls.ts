/**
 * TLS of the status server: its certificate, and whose clients it answers. The files are read again now and then, so that
 * a renewed certificate is served without a restart; ones that cannot be used leave the last ones in use.
 */
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import { createSecureContext } from "node:tls";
import { limits } from "../core/limits.js";

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

function isSameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  const isSameAuthority = one.ca === undefined || other.ca === undefined ? one.ca === other.ca : one.ca.equals(other.ca);
  return one.cert.equals(other.cert) && one.key.equals(other.key) && isSameAuthority;
}

export class SecureService {
  readonly server: Server;
  readonly #tls: ServiceTls;
  #material: TlsMaterial;
  #fault: string | null = null;

  constructor(tls: ServiceTls, material: TlsMaterial, listener: RequestListener) {
    const isAsked = tls.clientAuthorityFile !== null;
    this.server = createServer({ ...material, requestCert: isAsked, rejectUnauthorized: isAsked }, listener);
    this.#tls = tls;
    this.#material = material;
  }

  /**
   * Returns how to stop.
   * @param onUnusable told once for each fault of the files
   */
  keepReading(how: { readonly rereadMs?: number; readonly onUnusable?: (why: string) => void }): () => void {
    const { rereadMs = limits.httpCertificateReadMs, onUnusable } = how;
    const timer = setInterval(() => void this.#read(onUnusable), rereadMs).unref();
    return () => clearInterval(timer);
  }

  async #read(onUnusable: ((why: string) => void) | undefined): Promise<void> {
    try {
      const read = await readMaterial(this.#tls);
      this.#fault = null;
      if (isSameMaterial(read, this.#material)) return;
      this.#material = read;
      this.server.setSecureContext(read);
    } catch (cause) {
      const fault = String(cause);
      if (fault !== this.#fault) onUnusable?.(fault);
      this.#fault = fault;
    }
  }
}
