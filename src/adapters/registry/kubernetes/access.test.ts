import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { TestAuthority } from "../../../../test/support/certificates.js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { openAccess, type ClientCertificate } from "./access.js";

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly current?: string;
}

function writeConfig(context: TestContext, parts: Parts): string {
  const folder = mkdtempSync(join(tmpdir(), "spindle-kubeconfig-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "config");
  writeFileSync(join(folder, "ca.crt"), "the authority");
  writeFileSync(join(folder, "token"), "from a file\n");
  const document = {
    "current-context": parts.current ?? "one",
    clusters: [{ name: "c", cluster: { server: "https://server:6443", ...parts.cluster } }],
    users: [
      { name: "u", user: { token: "secret-token", ...parts.user } },
      { name: "other", user: { exec: { command: "rm" } } },
    ],
    contexts: [
      { name: "one", context: { cluster: "c", user: "u", ...parts.context } },
      { name: "two", context: { cluster: "c", user: "u", namespace: "second" } },
    ],
  };
  writeFileSync(path, JSON.stringify(document));
  return path;
}

/** Of the same name, one after the other. */
function issuePairs(context: TestContext): readonly [ClientCertificate, ClientCertificate] {
  const folder = mkdtempSync(join(tmpdir(), "spindle-pairs-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const authority = new TestAuthority(folder);
  const issue = (): ClientCertificate => {
    const { certificateFile, keyFile } = authority.issue("client");
    return { certificate: readFileSync(certificateFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  };
  return [issue(), issue()];
}

const pairInFiles = { "client-certificate": "client.pem", "client-key": "client.key" };

function writePair(kubeconfig: string, { certificate, key }: ClientCertificate): void {
  writeFileSync(join(kubeconfig, "../client.pem"), certificate);
  writeFileSync(join(kubeconfig, "../client.key"), key);
}

function open(kubeconfig: string, context: string | null = null, namespace: string | null = null) {
  return openAccess({ kubeconfig, context, namespace });
}

test("kubernetes access: the current context, or the one that is named", (context) => {
  const path = writeConfig(context, { cluster: { "certificate-authority": "ca.crt" } });
  const first = open(path);
  assert.equal(first.url.href, "https://server:6443/");
  assert.deepEqual([first.namespace, first.ca], ["default", "the authority"]);
  assert.equal(first.tokens.token(), "secret-token");
  assert.equal(open(path, "two").namespace, "second");
  assert.equal(open(path, "two", "third").namespace, "third");
});

test("kubernetes access: data in the file goes before files, and is decoded", (context) => {
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  const [pair] = issuePairs(context);
  const path = writeConfig(context, {
    cluster: { "certificate-authority": "ca.crt", "certificate-authority-data": encoded("inside") },
    user: { "client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key), "client-key": "gone" },
  });
  const { ca, certificates } = open(path);
  assert.deepEqual([ca, certificates?.()], ["inside", pair]);
});

test("kubernetes access: a token in a file is read again when it is not accepted", (context) => {
  const path = writeConfig(context, { user: { tokenFile: "token" } });
  const { tokens } = open(path);
  assert.equal(tokens.token(), "from a file");
  writeFileSync(join(path, "../token"), "renewed");
  assert.equal(tokens.token(), "from a file", "not at every request");
  tokens.renew();
  assert.equal(tokens.token(), "renewed");
  rmSync(join(path, "../token"));
  tokens.renew();
  assert.equal(tokens.token(), "renewed", "in the middle of a swap the last one goes on");
});

test("kubernetes access: of a renewal in two writes the last pair serves until both are there", (context) => {
  const [old, renewed] = issuePairs(context);
  const half = (text: string): string => text.slice(0, text.length / 2);
  const table: readonly (readonly [string, ClientCertificate])[] = [
    ["the certificate first", { ...old, certificate: renewed.certificate }],
    ["the key first", { ...old, key: renewed.key }],
    ["half a certificate", { ...renewed, certificate: half(renewed.certificate) }],
    ["half a key", { ...renewed, key: half(renewed.key) }],
    ["an empty certificate", { ...renewed, certificate: "" }],
    ["an empty key", { ...renewed, key: "" }],
  ];
  for (const [name, between] of table) {
    const path = writeConfig(context, { user: pairInFiles });
    writePair(path, old);
    let nowMs = 0;
    const { certificates } = openAccess({ kubeconfig: path, context: null, namespace: null }, () => nowMs);
    writePair(path, between);
    nowMs += limits.kubernetesTokenReadMs;
    assert.deepEqual(certificates?.(), old, name);
    writePair(path, renewed);
    nowMs += limits.kubernetesPairRetryMs;
    assert.deepEqual(certificates?.(), renewed, `${name}: read again soon`);
  }
});

test("kubernetes access: at the start a pair that cannot be used, or half of one, is refused without a byte of it", (context) => {
  const [one, other] = issuePairs(context);
  const table: readonly (readonly [object, ClientCertificate, RegExp])[] = [
    [pairInFiles, { ...one, key: other.key }, /client-certificate .*client\.pem and client-key .*client\.key must be PEM/],
    [pairInFiles, { ...one, key: one.key.slice(0, 100) }, /must be PEM/],
    [pairInFiles, { ...one, key: "" }, /the key is empty/],
    [pairInFiles, { ...one, certificate: "" }, /the certificate is empty/],
    [{ "client-certificate": "client.pem" }, one, /client-key is missing/],
    [{ "client-key": "client.key" }, one, /client-certificate is missing/],
    [{ "client-certificate": "client.pem", "client-key-data": "" }, one, /client-key is missing/],
  ];
  for (const [user, pair, message] of table) {
    const path = writeConfig(context, { user });
    writePair(path, pair);
    assert.throws(
      () => open(path),
      (cause) =>
        cause instanceof PortError &&
        cause.code === "KUBERNETES_ACCESS_INVALID" &&
        message.test(cause.message) &&
        !pair.key.split("\n").some((line) => line !== "" && cause.message.includes(line)),
      String(message),
    );
  }
});

test("kubernetes access: what is wrong is named, and no secret is in the message", (context) => {
  const table: readonly (readonly [Parts, RegExp])[] = [
    [{ current: "none" }, /no context "none"/],
    [{ context: { cluster: "gone" } }, /cluster gone/],
    [{ cluster: { server: "http://server" } }, /must be an https/],
    [{ cluster: { "insecure-skip-tls-verify": true } }, /insecure-skip-tls-verify is refused/],
    [{ user: { exec: { command: "aws" } } }, /exec is refused/],
    [{ user: { "auth-provider": {} } }, /auth-provider is refused/],
    [{ cluster: { "certificate-authority": "gone.crt" } }, /gone\.crt cannot be read: ENOENT/],
  ];
  for (const [parts, message] of table) {
    const path = writeConfig(context, parts);
    assert.throws(
      () => open(path),
      (cause: Error) => message.test(cause.message) && !cause.message.includes("secret-token"),
      String(message),
    );
  }
});

test("kubernetes access: a proxy on this machine may be plain", (context) => {
  const path = writeConfig(context, { cluster: { server: "http://127.0.0.1:8001" } });
  assert.equal(open(path).url.port, "8001");
});

test("kubernetes access: outside a pod a kubeconfig must be named", () => {
  assert.throws(
    () => openAccess({ kubeconfig: null, context: null, namespace: null }),
    /registry\.kubernetes\.kubeconfig/,
  );
});
