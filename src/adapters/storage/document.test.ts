import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { openDocument, sealDocument } from "./document.js";

test("document: what is sealed opens to the same text, whatever the text", () => {
  const anyText = fc.oneof(fc.string({ unit: "grapheme" }), fc.json(), fc.constant('"}\n'));
  fc.assert(
    fc.property(anyText, (text) => {
      assert.deepEqual(openDocument(sealDocument(text)), { kind: "good", text });
    }),
  );
});

test("document: a JSON text is readable with any JSON tool", () => {
  const sealed: unknown = JSON.parse(sealDocument('{"nodes":["a"]}'));
  assert.deepEqual((sealed as { document: unknown }).document, { nodes: ["a"] });
});

test("document: cut at any byte it is corrupt, and never another text", () => {
  const sealed = sealDocument('{"nodes":["a","b"]}');
  for (let length = 0; length < sealed.length; length += 1) {
    assert.equal(openDocument(sealed.slice(0, length)).kind, "corrupt", `cut at ${length}`);
  }
});

test("document: any changed character is found", () => {
  const sealed = sealDocument('{"nodes":["a","b"]}');
  const position = fc.nat({ max: sealed.length - 1 });
  fc.assert(
    fc.property(position, fc.string({ minLength: 1, maxLength: 1 }), (at, other) => {
      fc.pre(sealed[at] !== other);
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
      assert.notEqual(openDocument(changed).kind, "good");
    }),
  );
});

test("document: a newer version is told from a corrupt one", () => {
  const newer = '{"version":2,"checksum":"another way","document":{}}\n';
  assert.deepEqual(openDocument(newer), { kind: "newer", version: 2 });
  assert.equal(openDocument('{"version":0,"document":{}}').kind, "corrupt");
});
