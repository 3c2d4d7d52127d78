import assert from "node:assert/strict";
import { test } from "node:test";
import type { LinkName } from "../core/gateway/link.js";
import type { LinkRecord } from "../core/gateway/record.js";
import { fixtureLink, recordOf } from "../core/gateway/fixtures.js";
import { findMissingLinks } from "./gateway-missing-links.js";

/** A name that ends in `!` is of a link marked as detached. */
const cases: readonly { why: string; known: string; listed: string; gone: string; held: string }[] = [
  { why: "all listed", known: "a b", listed: "a b", gone: "", held: "" },
  { why: "the only link missing", known: "a", listed: "", gone: "", held: "a" },
  { why: "the only link missing, detached before", known: "a!", listed: "", gone: "a", held: "" },
  { why: "one of two missing", known: "a b", listed: "b", gone: "a", held: "" },
  { why: "both missing", known: "a b", listed: "", gone: "", held: "a b" },
  { why: "one of three missing", known: "a b c", listed: "b c", gone: "a", held: "" },
  { why: "two of three missing", known: "a b c", listed: "c", gone: "", held: "a b" },
  { why: "half missing", known: "a b c d", listed: "c d", gone: "a b", held: "" },
  { why: "detached ones do not count, and go", known: "a! b! c! d e", listed: "e", gone: "a b c d", held: "" },
  { why: "detached ones go also when the others are held", known: "a! b c", listed: "", gone: "a", held: "b c" },
  { why: "links of other sites in the listing count for nothing", known: "a", listed: "x y z", gone: "", held: "a" },
];

for (const { why, known, listed, gone, held } of cases) {
  test(`missing links: ${why}`, () => {
    const newest = new Map(wordsOf(known).map((word) => entryOf(word)));
    assert.deepEqual(findMissingLinks(newest, new Set(wordsOf(listed))), { gone: wordsOf(gone), held: wordsOf(held) });
  });
}

function entryOf(word: string): [LinkName, LinkRecord] {
  const name = word.replace("!", "") as LinkName;
  return [name, recordOf([], { link: { ...fixtureLink, name }, detached: word.endsWith("!") })];
}

function wordsOf(text: string): readonly string[] {
  return text === "" ? [] : text.split(" ");
}
