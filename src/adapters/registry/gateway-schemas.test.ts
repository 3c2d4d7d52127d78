import assert from "node:assert/strict";
import { test } from "node:test";
import { recordOf } from "../../core/gateway/fixtures.js";
import { formatLinks, parseLinks } from "../../runtime/gateway-documents.js";
import { linkRecordSchema } from "./gateway-schemas.js";

const record = recordOf([]);

test("gateway records: those of before editions are read, from the registry and from a site's file", () => {
  const { edition: _, silentSinceWallMs: __, ...earlier } = record;
  const expected = { ...record, edition: 0, silentSinceWallMs: { server: null, client: null } };
  assert.deepEqual(linkRecordSchema.parse(earlier), expected);
  const text = formatLinks(new Map([[record.link.name, earlier as typeof record]]));
  assert.deepEqual(parseLinks(text), { ok: true, value: [expected] });
});

test("gateway records: what is there is kept", () => {
  const later = { ...record, edition: 7 };
  assert.deepEqual(linkRecordSchema.parse(later), later);
  assert.deepEqual(parseLinks(formatLinks(new Map([[record.link.name, later]]))), { ok: true, value: [later] });
});
