import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Link, PairIndex } from "../../core/gateway/link.js";
import { fixtureLink } from "../../core/gateway/fixtures.js";
import type { PortFailure } from "../../ports/failure.js";
import type { Issued, IssuerPort } from "../../ports/issuer.js";
import type { Result } from "../../core/result.js";
import { isSignedByOneOf } from "./certificate.js";
import { gatewayName } from "./gateway-name.js";
import { openIssuer } from "./issuer.js";
import { makeRequest } from "./request.js";

const dayMs = 24 * 3_600_000;
const pair = 0 as PairIndex;
let directory: string;
let now = new Date("2026-10-25T00:30:00Z");

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "spindle-issuer-"));
});
after(() => rm(directory, { recursive: true }));

/** A hub that was just started: nothing but the directory is kept. */
function issuer(): IssuerPort {
  return openIssuer({ directory: join(directory, "roots"), lifetimes: { rootMs: 8 * dayMs, leafMs: dayMs }, now: () => now });
}

test("issuer: a restarted hub goes on with its root, and each order has a digest of its own", async () => {
  const [first, second] = [await issue(issuer(), 1), await issue(issuer(), 2)];
  assert.equal(first.root.fingerprint, second.root.fingerprint);
  assert.notEqual(first.credentials.digest, second.credentials.digest);
  assert.ok(isSignedByOneOf(first.credentials.certificates.server.pem, [second.root.pem]));
});

test("issuer: two orders at once begin one root, not two", async () => {
  await rm(join(directory, "roots"), { recursive: true });
  const one = issuer();
  const [first, second] = await Promise.all([issue(one, 3), issue(one, 4)]);
  assert.equal(first.root.fingerprint, second.root.fingerprint);
});

test("issuer: past half of a root's life a new one signs, and the old one's key goes when no link names it", async () => {
  const old = await issue(issuer(), 5);
  now = new Date(now.getTime() + 5 * dayMs);
  const young = await issue(issuer(), 6);
  assert.notEqual(old.root.fingerprint, young.root.fingerprint);
  await keep(issuer(), [old.root.fingerprint, young.root.fingerprint]);
  assert.equal((await readdir(join(directory, "roots"))).length, 4);
  await keep(issuer(), [young.root.fingerprint]);
  const left = await readdir(join(directory, "roots"));
  assert.deepEqual(left.sort(), [`root-${young.root.fingerprint}.key`, `root-${young.root.fingerprint}.pem`]);
  await keep(issuer(), []);
  assert.equal((await readdir(join(directory, "roots"))).length, 2, "the one that signs stays");
});

test("issuer: a request of another site is refused, and w-1 is not w-10", async () => {
  const swapped: Link = { ...fixtureLink, server: fixtureLink.client, client: fixtureLink.server };
  const result = await order(issuer(), 7, swapped);
  assert.ok(!result.ok);
  assert.equal(result.error.code, "GATEWAY_CSR_REFUSED");
  assert.equal(result.error.retryable, false);
});

async function order(from: IssuerPort, number: number, asked: Link): Promise<Result<Issued, PortFailure>> {
  const request = async (site: Link["server"]): Promise<string> => {
    return (await makeRequest(gatewayName(site, asked.name, pair, number))).requestPem;
  };
  const csrs = { server: await request(asked.server), client: await request(asked.client) };
  return new Promise((done) => {
    from.issue({ link: fixtureLink, pair, number, slot: 0, csrs }, done);
  });
}

async function issue(from: IssuerPort, number: number): Promise<Issued> {
  const result = await order(from, number, fixtureLink);
  assert.ok(result.ok);
  return result.value;
}

function keep(from: IssuerPort, used: Parameters<IssuerPort["keepRoots"]>[0]): Promise<void> {
  return new Promise((done) => {
    from.keepRoots(used, (result) => {
      assert.ok(result.ok);
      done();
    });
  });
}
