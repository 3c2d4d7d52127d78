import assert from "node:assert/strict";
import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Secret } from "../crypto/secret.js";
import { Authority, createAuthority } from "./authority.js";
import { isSignedByOneOf, readCertificate } from "./certificate.js";
import { parseCommonName, type CommonName } from "./common-name.js";
import { readKeyFile, wipeFile, writeKeyFile } from "./key-file.js";
import { loadX509, signing } from "./library.js";
import { encodePem } from "./pem.js";
import { checkRequest, makeRequest } from "./request.js";

const now = new Date("2026-03-29T00:59:00Z");
const hourMs = 3_600_000;
const name = commonName("w-1.link.p0.g7");

test("authority: a leaf has the hub's name, use and lifetime, and the key of the request", async () => {
  const authority = await openAuthority("root-1");
  const { requestPem, privateKey } = await makeRequest(name);
  const pem = await issued(authority, requestPem);
  const leaf = new X509Certificate(pem);
  assert.equal(leaf.subject, `CN=${name}`);
  assert.equal(leaf.ca, false);
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.ok(leaf.checkPrivateKey(createPrivateKey(privateKey.reveal())));
  const facts = readCertificate(pem);
  assert.ok(facts.ok);
  assert.equal(facts.value.name, name);
  assert.equal(facts.value.notAfter.getTime(), now.getTime() + hourMs);
  assert.match(facts.value.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
});

test("authority: a bundle of two roots takes leaves of both, and without the old root its leaves are nobody's", async () => {
  const [older, newer] = [await openAuthority("root-1"), await openAuthority("root-1")];
  const oldLeaf = await issued(older, (await makeRequest(name)).requestPem);
  const newLeaf = await issued(newer, (await makeRequest(name)).requestPem);
  const bundle = [older.certificatePem, newer.certificatePem];
  assert.ok(isSignedByOneOf(oldLeaf, bundle));
  assert.ok(isSignedByOneOf(newLeaf, bundle));
  assert.ok(!isSignedByOneOf(oldLeaf, [newer.certificatePem]));
  assert.ok(!isSignedByOneOf(newLeaf, [oldLeaf]), "a leaf is no root");
});

test("authority: no leaf outlives its root", async () => {
  const authority = await openAuthority("root-1", hourMs);
  const { requestPem } = await makeRequest(name);
  const order = { name, role: "client", requestPem, now, lifetimeMs: 2 * hourMs } as const;
  const answer = await authority.issue(order);
  assert.ok(!answer.ok);
  assert.equal(answer.error.code, "CERTIFICATE_REQUEST_REFUSED");
});

const hostileNames = [
  "",
  "w-1\nremote evil",
  "w-1 --up sh",
  "CN=w-1",
  "w-1,O=other",
  "../w-1",
  "w-1\u0000",
  "W-1",
  "-w",
  "w.",
  "ẃ-1",
  "a".repeat(65),
];
for (const hostile of hostileNames) {
  test(`common name: ${JSON.stringify(hostile.slice(0, 16))} is refused`, () => {
    const parsed = parseCommonName(hostile);
    assert.ok(!parsed.ok);
    assert.equal(parsed.error.code, "CERTIFICATE_NAME_INVALID");
    assert.ok(!parsed.error.message.includes("\n"), "a name cannot write a second line of a log");
  });
}

const requests: Readonly<Record<string, () => Promise<string>>> = {
  "of another name": async () => (await makeRequest(commonName("w-10.link.p0.g7"))).requestPem,
  "of the next generation": async () => (await makeRequest(commonName("w-1.link.p0.g8"))).requestPem,
  "with a second name": () => customRequest({ name: [{ CN: [name, "admin"] }] }),
  "with an organisation": () => customRequest({ name: [{ CN: [name] }, { O: ["other"] }] }),
  "that wants to be an authority": async () => {
    const x509 = await loadX509();
    return customRequest({ extensions: [new x509.BasicConstraintsExtension(true)] });
  },
  "of another curve": () => customRequest({}, { ...signing, namedCurve: "P-384" }),
  "signed with another hash": () => customRequest({}, { ...signing, hash: "SHA-384" }),
  "with a changed byte of the signature": async () => changeLastByte((await makeRequest(name)).requestPem),
  "too long": async () => (await makeRequest(name)).requestPem + "\n".repeat(10_000),
  "of two blocks": async () => `${(await makeRequest(name)).requestPem}\n${(await makeRequest(name)).requestPem}`,
  "of no ASN.1": () => Promise.resolve("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
  "that is empty": () => Promise.resolve(""),
};
for (const [what, make] of Object.entries(requests)) {
  test(`request: one ${what} is refused`, async () => {
    const answer = await checkRequest(await make(), name);
    assert.ok(!answer.ok);
    assert.match(answer.error.code, /^CERTIFICATE_REQUEST_(INVALID|REFUSED)$/);
  });
}

test("key file: 0600, read back, and gone after it was wiped", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spindle-pki-"));
  try {
    const path = join(directory, "leaf.key");
    const { privateKey } = await makeRequest(name);
    await writeKeyFile(path, privateKey);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readFile(path), privateKey.reveal());
    const der = await readKeyFile(path);
    assert.deepEqual(encodePem("PRIVATE KEY", der), privateKey.reveal());
    await wipeFile(path);
    await wipeFile(path);
    await assert.rejects(readKeyFile(path), { code: "KEY_FILE_UNREADABLE", retryable: false });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("pem: equal to the platform's encoding for every length of the last line", () => {
  for (let length = 1; length <= 100; length += 1) {
    const der = Buffer.alloc(length);
    for (let i = 0; i < length; i += 1) der[i] = (i * 37 + length) & 0xff;
    const lines = der.toString("base64").match(/.{1,64}/g)!;
    const expected = `-----BEGIN X-----\n${lines.join("\n")}\n-----END X-----\n`;
    assert.equal(encodePem("X", der).toString(), expected);
  }
});

async function openAuthority(text: string, lifetimeMs = 24 * hourMs): Promise<Authority> {
  const made = await createAuthority(commonName(text), now, lifetimeMs);
  const der = createPrivateKey(made.privateKey.reveal()).export({ format: "der", type: "pkcs8" });
  made.privateKey.wipe();
  return Authority.open(made.certificatePem, der);
}

async function issued(authority: Authority, requestPem: string): Promise<string> {
  const order = { name, role: "server", requestPem, now, lifetimeMs: hourMs } as const;
  const answer = await authority.issue(order);
  assert.ok(answer.ok);
  return answer.value;
}

async function customRequest(
  parameters: object,
  algorithm: { name: string; namedCurve: string; hash: string } = signing,
): Promise<string> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: algorithm,
    ...parameters,
  });
  return request.toString("pem");
}

/** The last byte of the signature's second number. */
function changeLastByte(pem: string): string {
  const lines = pem.split("\n");
  const der = Buffer.from(lines.slice(1, -1).join(""), "base64");
  der[der.length - 1]! ^= 1;
  return encodePem("CERTIFICATE REQUEST", der).toString();
}

function commonName(text: string): CommonName {
  const parsed = parseCommonName(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

test("secret: printing a private key shows no byte of it", async () => {
  const { privateKey } = await makeRequest(name);
  assert.ok(privateKey instanceof Secret);
  assert.match(String(privateKey), /^secret:[0-9a-f]{8}$/);
});
