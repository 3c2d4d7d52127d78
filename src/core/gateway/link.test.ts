import assert from "node:assert/strict";
import { test } from "node:test";
import { fixtureLink } from "./fixtures.js";
import { checkLink, parseDigest, parseFingerprint, parseLinkName, parsePairIndex, parseSiteName, sideOf, type SiteName } from "./link.js";

test("link names: labels of lower-case letters, digits and dashes, and nothing that a shell or a path would read", () => {
  for (const name of ["a", "w-1", "w-10", "9", "a".repeat(63)]) assert.ok(parseLinkName(name).ok && parseSiteName(name).ok, name);
  const bad = ["", "-a", "a-", "A", "a b", "a.b", "../a", "a/b", "a;b", "$(a)", "a\n", "ä", "a@b", "a".repeat(64)];
  for (const name of bad) assert.ok(!parseLinkName(name).ok && !parseSiteName(name).ok, JSON.stringify(name));
});

test("link names: a site is found by its whole name", () => {
  assert.equal(sideOf(fixtureLink, "w-1" as SiteName), "server");
  assert.equal(sideOf(fixtureLink, "w-10" as SiteName), "client");
  assert.equal(sideOf(fixtureLink, "w-100" as SiteName), null);
});

test("links: of two sites, with 1 to 16 pairs", () => {
  assert.ok(checkLink(fixtureLink).ok);
  for (const pairs of [0, 17, 1.5, NaN]) assert.ok(!checkLink({ ...fixtureLink, pairs }).ok, String(pairs));
  assert.ok(!checkLink({ ...fixtureLink, client: fixtureLink.server }).ok);
  assert.ok(parsePairIndex(15).ok && !parsePairIndex(16).ok && !parsePairIndex(-1).ok);
});

test("fingerprints and digests: 64 lower-case hex digits", () => {
  assert.ok(parseFingerprint("0a".repeat(32)).ok && parseDigest("0a".repeat(32)).ok);
  for (const text of ["", "0A".repeat(32), "0a".repeat(31), `${"0a".repeat(32)}\n`]) assert.ok(!parseFingerprint(text).ok && !parseDigest(text).ok);
});
