import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openAccess } from "./access.js";

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
  const data = Buffer.from("inside").toString("base64");
  const path = writeConfig(context, {
    cluster: { "certificate-authority": "ca.crt", "certificate-authority-data": data },
    user: { "client-certificate-data": data, "client-key-data": data },
  });
  const { ca, certificates } = open(path);
  assert.deepEqual([ca, certificates?.()], ["inside", { certificate: "inside", key: "inside" }]);
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
