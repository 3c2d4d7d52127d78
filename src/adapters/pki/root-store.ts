/**
 * The roots of a hub on disk: certificate and key of each, 0600. The newest one signs, until it is past half of its life or would end
 * before a leaf: then a new one begins, and the older stays as long as any link trusts it.
 */
import { X509Certificate } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseFingerprint, type Fingerprint } from "../../core/gateway/link.js";
import { assert } from "../../core/assert.js";
import { collectKeys } from "../crypto/collect-keys.js";
import { removeIfPresent, writeFileAtomically } from "../storage/atomic-write.js";
import { Authority, createAuthority } from "./authority.js";
import { parseCommonName } from "./common-name.js";
import { readKeyFile, wipeFile, writeKeyFile } from "./key-file.js";

export interface RootLifetimes {
  readonly rootMs: number;
  readonly leafMs: number;
}

export interface PresentRoot {
  readonly fingerprint: Fingerprint;
  readonly authority: Authority;
}

interface StoredRoot {
  readonly fingerprint: Fingerprint;
  readonly pem: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class RootStore {
  readonly #directory: string;
  readonly #lifetimes: RootLifetimes;

  constructor(directory: string, lifetimes: RootLifetimes) {
    this.#directory = directory;
    this.#lifetimes = lifetimes;
  }

  /** The root that signs now. */
  async present(now: Date): Promise<PresentRoot> {
    const newest = (await this.#list()).at(-1);
    const root = newest !== undefined && this.#isUsable(newest, now) ? newest : await this.#begin(now);
    const authority = await Authority.open(root.pem, await readKeyFile(this.#path(root.fingerprint, "key")));
    return { fingerprint: root.fingerprint, authority };
  }

  /** Destroys the key of every root but the newest and those named. */
  async keep(used: readonly Fingerprint[]): Promise<void> {
    const retired = (await this.#list()).slice(0, -1).filter(({ fingerprint }) => !used.includes(fingerprint));
    for (const { fingerprint } of retired) {
      await wipeFile(this.#path(fingerprint, "key"));
      await removeIfPresent(this.#path(fingerprint, "pem"));
    }
    if (retired.length > 0) collectKeys();
  }

  #isUsable({ fromMs, untilMs }: StoredRoot, now: Date): boolean {
    const isYoung = now.getTime() < (fromMs + untilMs) / 2;
    return isYoung && now.getTime() + this.#lifetimes.leafMs < untilMs;
  }

  /** The certificate is written last: a root without it was never used. */
  async #begin(now: Date): Promise<StoredRoot> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const name = parseCommonName(`spindle-root-${now.toISOString().slice(0, 10)}`);
    assert(name.ok, "a date is part of a name");
    const made = await createAuthority(name.value, now, this.#lifetimes.rootMs);
    const root = readRoot(made.certificatePem);
    try {
      await writeKeyFile(this.#path(root.fingerprint, "key"), made.privateKey);
    } finally {
      made.privateKey.wipe();
    }
    const bytes = Buffer.from(made.certificatePem);
    await writeFileAtomically(this.#path(root.fingerprint, "pem"), bytes, { mode: 0o600 });
    return root;
  }

  /** Oldest first. */
  async #list(): Promise<readonly StoredRoot[]> {
    const names = await readdir(this.#directory).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw cause;
    });
    const roots: StoredRoot[] = [];
    for (const name of names) {
      if (/^root-[0-9a-f]{64}\.pem$/.test(name)) roots.push(readRoot(await readFile(join(this.#directory, name), "utf8")));
    }
    return roots.sort((one, other) => one.fromMs - other.fromMs || (one.fingerprint < other.fingerprint ? -1 : 1));
  }

  #path(fingerprint: Fingerprint, kind: "key" | "pem"): string {
    return join(this.#directory, `root-${fingerprint}.${kind}`);
  }
}

function readRoot(pem: string): StoredRoot {
  const certificate = new X509Certificate(pem);
  const fingerprint = parseFingerprint(plainFingerprint(certificate.fingerprint256));
  assert(fingerprint.ok, "the platform's fingerprint is 32 bytes");
  return {
    fingerprint: fingerprint.value,
    pem,
    fromMs: Date.parse(certificate.validFrom),
    untilMs: Date.parse(certificate.validTo),
  };
}

/** From the platform's pairs with colons to 64 lower-case hex digits. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(":", "").toLowerCase();
}
