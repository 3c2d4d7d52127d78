/**
 * The envelope of a stored document: `{"version":1,"sha256":"…","document":TEXT}`, so that a torn
 * or altered file is told from a good one, and a JSON text stays readable with any JSON tool. The
 * text itself may be anything.
 */
import { createHash } from "node:crypto";

export const documentVersion = 1;

export type OpenedDocument =
  | { readonly kind: "good"; readonly text: string }
  /** Written by a newer release: to be left alone. */
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "corrupt"; readonly why: string };

const head = /^\{"version":(\d{1,9}),/;
const headV1 = /^\{"version":1,"sha256":"([0-9a-f]{64})","document":$/;
const headBytes = '{"version":1,"sha256":"","document":'.length + 64;
const tail = "}\n";

export function sealDocument(text: string): string {
  return `{"version":${documentVersion},"sha256":"${checksum(text)}","document":${text}${tail}`;
}

/** Never throws, whatever the bytes. */
export function openDocument(sealed: string): OpenedDocument {
  const version = Number(head.exec(sealed)?.[1] ?? Number.NaN);
  if (version > documentVersion) return { kind: "newer", version };
  const expected = headV1.exec(sealed.slice(0, headBytes))?.[1];
  if (expected === undefined) return { kind: "corrupt", why: "no header" };
  if (!sealed.endsWith(tail)) return { kind: "corrupt", why: "the end is missing" };
  const text = sealed.slice(headBytes, -tail.length);
  if (checksum(text) !== expected) return { kind: "corrupt", why: "the checksum does not match" };
  return { kind: "good", text };
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
