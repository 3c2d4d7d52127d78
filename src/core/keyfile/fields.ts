/**
 * Cuts a key file into lines and fields without copying: a span is a place in the bytes, never a
 * string of them. Lines end in LF or CRLF, the last may lack its end; fields are separated by runs
 * of spaces and tabs.
 */
import { fail, succeed, type Result } from "../result.js";

/** Bytes from `start` up to, and without, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;
const tab = 0x09;

/** @param linesMax stop after this many lines */
export function splitLines(bytes: Uint8Array, linesMax: number): readonly Span[] {
  const lines: Span[] = [];
  for (let start = 0; start < bytes.length && lines.length < linesMax; ) {
    const found = bytes.indexOf(lineFeed, start);
    const end = found === -1 ? bytes.length : found;
    const isCrlf = end > start && bytes[end - 1] === carriageReturn;
    lines.push({ start, end: isCrlf ? end - 1 : end });
    start = end + 1;
  }
  return lines;
}

/** @param fieldsMax stop after this many fields */
export function splitFields(bytes: Uint8Array, line: Span, fieldsMax: number): readonly Span[] {
  const fields: Span[] = [];
  for (let at = line.start; at < line.end && fields.length < fieldsMax; ) {
    const start = skipWhile(bytes, at, line.end, isBlank);
    const end = skipWhile(bytes, start, line.end, (byte) => !isBlank(byte));
    if (end > start) fields.push({ start, end });
    at = end;
  }
  return fields;
}

function skipWhile(
  bytes: Uint8Array,
  from: number,
  end: number,
  skips: (byte: number | undefined) => boolean,
): number {
  let at = from;
  while (at < end && skips(bytes[at])) at += 1;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === tab;
}

/** Compares bytes with an ASCII word, so that unknown text need not become a string. */
export function isWord(bytes: Uint8Array, field: Span, word: string): boolean {
  if (field.end - field.start !== word.length) return false;
  for (let offset = 0; offset < word.length; offset += 1) {
    if (bytes[field.start + offset] !== word.charCodeAt(offset)) return false;
  }
  return true;
}

/**
 * The value of a field of decimal digits, null for anything else. Values past a million are cut to
 * it.
 */
export function decodeDecimal(bytes: Uint8Array, field: Span): number | null {
  if (field.end === field.start) return null;
  let value = 0;
  for (let at = field.start; at < field.end; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = Math.min(value * 10 + digit, 1_000_000);
  }
  return value;
}

/**
 * Decodes `["0x"] hex`, or `""` for no bytes at all. The error says what is wrong, never with which
 * digit. The caller owns the bytes and wipes them.
 */
export function decodeHex(bytes: Uint8Array, field: Span): Result<Uint8Array, string> {
  if (isWord(bytes, field, '""')) return succeed(new Uint8Array(0));
  const hasPrefix = isWord(bytes, { start: field.start, end: field.start + 2 }, "0x");
  const start = hasPrefix ? field.start + 2 : field.start;
  const decoded = new Uint8Array(Math.floor((field.end - start) / 2));
  for (let at = start; at < field.end; at += 1) {
    const value = hexDigit(bytes[at] ?? 0);
    if (value === null) {
      decoded.fill(0);
      return fail(`character ${at - field.start + 1} of the key is not a hex digit`);
    }
    const place = (at - start) >> 1;
    decoded[place] = ((decoded[place] ?? 0) << 4) | value;
  }
  if ((field.end - start) % 2 === 0) return succeed(decoded);
  decoded.fill(0);
  return fail("the key has an odd number of hex digits");
}

function hexDigit(byte: number): number | null {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : null;
}
