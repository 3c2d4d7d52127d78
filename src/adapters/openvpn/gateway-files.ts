/**
 * One end of one generation of a pair on disk: a directory of its own that only root enters, with key, request, certificates, OpenVPN's
 * configuration and management socket, and a description that a restarted site reads.
 */
import { access, mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  parseDigest,
  parseFingerprint,
  parseLinkName,
  parsePairIndex,
  parseSiteName,
  type Digest,
  type Fingerprint,
  type LinkName,
  type PairIndex,
  type Side,
  type SiteName,
} from "../../core/gateway/link.js";
import type { Secret } from "../crypto/secret.js";
import { wipeFile, writeKeyFile } from "../pki/key-file.js";
import { parsed } from "../registry/parsed-field.js";
import { syncDirectory, writeFileAtomically } from "../storage/atomic-write.js";
import type { ProcessFiles } from "./configuration.js";

/** What was started: a process with these credentials and no other. */
export interface Description {
  readonly side: Side;
  readonly peer: SiteName;
  readonly slot: 0 | 1;
  readonly digest: Digest;
  readonly certificate: Fingerprint;
  readonly peerCertificate: Fingerprint;
}

const descriptionSchema = z.strictObject({
  side: z.enum(["server", "client"]),
  peer: parsed(z.string(), parseSiteName),
  slot: z.union([z.literal(0), z.literal(1)]),
  digest: parsed(z.string(), parseDigest),
  certificate: parsed(z.string(), parseFingerprint),
  peerCertificate: parsed(z.string(), parseFingerprint),
});

export class GatewayFiles {
  readonly directory: string;

  constructor(root: string, link: LinkName, pair: PairIndex, number: number) {
    this.directory = join(root, link, `p${pair}.g${number}`);
  }

  get processFiles(): ProcessFiles {
    return {
      certificate: join(this.directory, "certificate.pem"),
      key: join(this.directory, "key.pem"),
      roots: join(this.directory, "roots.pem"),
      managementSocket: join(this.directory, "m"),
    };
  }

  get configuration(): string {
    return join(this.directory, "openvpn.conf");
  }

  get errors(): string {
    return join(this.directory, "errors.log");
  }

  /** The request that lies beside the key, null when one of the two is missing. */
  async readRequest(): Promise<string | null> {
    // The key is not read: a string of it could not be wiped.
    const isAbsent = (await access(this.processFiles.key).catch(nullWhenAbsent)) === null;
    return isAbsent ? null : readOrNull(this.#request);
  }

  readKey(): Promise<Buffer | null> {
    return readFile(this.processFiles.key).catch(nullWhenAbsent);
  }

  async writeKey(key: Secret, request: string): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await writeKeyFile(this.processFiles.key, key);
    await this.#write(this.#request, request);
  }

  /** The description last: where it is, all of it is. */
  async writeCredentials(certificate: string, roots: string, configuration: string, description: Description): Promise<void> {
    await this.#write(this.processFiles.certificate, certificate);
    await this.#write(this.processFiles.roots, roots);
    await this.#write(this.configuration, configuration);
    await this.#write(this.#description, JSON.stringify(description));
  }

  /** Null when nothing was started here, or when the description cannot be read: it is then a leftover. */
  async readDescription(): Promise<Description | null> {
    const text = await readOrNull(this.#description);
    if (text === null) return null;
    try {
      return descriptionSchema.parse(JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** The key first, and overwritten; a second time does no harm. */
  async remove(): Promise<void> {
    await wipeFile(this.processFiles.key);
    await rm(this.directory, { recursive: true, force: true });
    await syncDirectory(join(this.directory, "..")).catch(nullWhenAbsent);
  }

  get #request(): string {
    return join(this.directory, "request.pem");
  }

  get #description(): string {
    return join(this.directory, "gateway.json");
  }

  #write(path: string, text: string): Promise<void> {
    return writeFileAtomically(path, Buffer.from(text), { mode: 0o600 });
  }
}

export interface ListedGateway {
  readonly link: LinkName;
  readonly pair: PairIndex;
  readonly number: number;
}

/** All that lies below the root, whoever asked for it. Names that are none of ours are left alone. */
export async function listGateways(root: string): Promise<readonly ListedGateway[]> {
  const found: ListedGateway[] = [];
  for (const name of await namesIn(root)) {
    const link = parseLinkName(name);
    if (!link.ok) continue;
    for (const child of await namesIn(join(root, name))) {
      const [, pairText, numberText] = /^p(\d{1,3})\.g(\d{1,15})$/.exec(child) ?? [];
      const pair = parsePairIndex(Number(pairText));
      if (pair.ok) found.push({ link: link.value, pair: pair.value, number: Number(numberText) });
    }
  }
  return found;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(nullWhenAbsent);
  return (entries ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function readOrNull(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch(nullWhenAbsent);
}

function nullWhenAbsent(cause: unknown): null {
  if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw cause;
}
