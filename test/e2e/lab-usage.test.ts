/** What `spindle lab` refuses, before it starts anything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSpindle } from "../support/lab.js";

const refused: readonly { readonly words: readonly string[]; readonly says: RegExp }[] = [
  { words: ["--order", "advertise-first"], says: /advertise-first needs --coordination pairwise/ },
  { words: ["--ipv6"], says: /--ipv6 needs --dataplane kernel/ },
  {
    words: ["--registry", "etcd", "--dataplane", "kernel"],
    says: /--registry etcd needs --dataplane userspace/,
  },
  { words: ["--registry-endpoint", "http://127.0.0.1:2379"], says: /needs --registry etcd/ },
  {
    words: ["--registry", "etcd", "--registry-endpoint", "http://192.0.2.1:2379"],
    says: /http:\/\/HOST:PORT on loopback/,
  },
  { words: ["--ipsec-mode", "tunnel"], says: /--ipsec-mode tunnel needs --dataplane kernel/ },
  { words: ["--encapsulation", "none"], says: /--encapsulation none needs --dataplane kernel/ },
  { words: ["--compare", "--order", "stage-first"], says: /leave --order out/ },
  { words: ["--nodes", "1"], says: /--nodes must be from 2 to/ },
  { words: ["--nodes", "many"], says: /whole number/ },
  { words: ["--slow-node", "soon"], says: /duration such as/ },
  { words: ["--coordination", "telepathy"], says: /barrier, pairwise/ },
  { words: ["--jitter", "some"], says: /off, uniform, slotted/ },
];

for (const { words, says } of refused) {
  test(`lab: ${words.join(" ")} is refused with exit code 2`, async () => {
    const { code, stdout, stderr } = await runSpindle("lab", ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, "");
  });
}

test("lab: the programs that it starts are not in the help", async () => {
  const { stdout } = await runSpindle("--help");
  assert.match(stdout, /\blab\b/);
  assert.doesNotMatch(stdout, /lab-agent|lab-controller|dataplane/);
});
