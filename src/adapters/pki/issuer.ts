/**
 * The issuer port: both certificates of one generation of a pair, under the root that signs now. Orders run one after another, so that
 * no two of them begin a root each.
 */
import { createHash } from "node:crypto";
import { assert } from "../../core/assert.js";
import { parseDigest, parseFingerprint, sides, type Digest, type Fingerprint, type Side } from "../../core/gateway/link.js";
import type { Credentials, IssuedCertificate } from "../../core/gateway/record.js";
import type { Done } from "../../ports/failure.js";
import type { Issued, IssueOrder, IssuerPort } from "../../ports/issuer.js";
import { PortError } from "../port-error.js";
import { settle } from "../registry/settle.js";
import type { Authority } from "./authority.js";
import { readCertificate } from "./certificate.js";
import { gatewayName } from "./gateway-name.js";
import { plainFingerprint, RootStore, type RootLifetimes } from "./root-store.js";

export interface IssuerOptions {
  /** Holds the roots and their keys. */
  readonly directory: string;
  readonly lifetimes: RootLifetimes;
  readonly now: () => Date;
}

export function openIssuer({ directory, lifetimes, now }: IssuerOptions): IssuerPort {
  const roots = new RootStore(directory, lifetimes);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const result = last.then(run);
    last = result.catch(() => undefined);
    return result;
  };
  return {
    issue(order: IssueOrder, done: Done<Issued>): void {
      settle(
        inTurn(() => issue(order, roots, now(), lifetimes.leafMs)),
        done,
      );
    },
    keepRoots(used: readonly Fingerprint[], done: Done<null>): void {
      settle(
        inTurn(() => roots.keep(used).then(() => null)),
        done,
      );
    },
  };
}

async function issue(order: IssueOrder, roots: RootStore, now: Date, lifetimeMs: number): Promise<Issued> {
  const { authority, fingerprint: root } = await roots.present(now);
  const certificates: Partial<Record<Side, IssuedCertificate>> = {};
  for (const side of sides) certificates[side] = await issueSide(order, side, authority, now, lifetimeMs);
  const both = certificates as Record<Side, IssuedCertificate>;
  const credentials = { number: order.number, slot: order.slot, certificates: both, root, digest: digestOf(order, both, root) };
  return { credentials, root: { fingerprint: root, pem: authority.certificatePem } };
}

async function issueSide(
  { link, pair, number, csrs }: IssueOrder,
  side: Side,
  authority: Authority,
  now: Date,
  lifetimeMs: number,
): Promise<IssuedCertificate> {
  const name = gatewayName(link[side], link.name, pair, number);
  const issued = await authority.issue({ name, role: side, requestPem: csrs[side], now, lifetimeMs });
  if (!issued.ok) throw new PortError("GATEWAY_CSR_REFUSED", `${name}: ${issued.error.message}`, false);
  const facts = readCertificate(issued.value);
  assert(facts.ok, "what was just issued can be read");
  const fingerprint = parseFingerprint(plainFingerprint(facts.value.fingerprint));
  assert(fingerprint.ok, "the platform's fingerprint is 32 bytes");
  return { pem: issued.value, fingerprint: fingerprint.value, notAfterWallMs: facts.value.notAfter.getTime() };
}

/** Of all that both ends must agree upon. */
function digestOf(
  { link, pair, number, slot }: IssueOrder,
  certificates: Credentials["certificates"],
  root: Fingerprint,
): Digest {
  const { server, client } = certificates;
  const parts = [link.name, link.server, link.client, pair, number, slot, server.fingerprint, client.fingerprint, root];
  const digest = parseDigest(createHash("sha256").update(parts.join("\n")).digest("hex"));
  assert(digest.ok, "a hash is a digest");
  return digest.value;
}
