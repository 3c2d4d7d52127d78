/**
 * What can be wrong with a key file. A fault names the line, what was expected and what to do, and
 * repeats nothing of the file but key ids that were understood: a misplaced field may be a key.
 */

export type KeyFileCode =
  | "KEYFILE_EMPTY"
  | "KEYFILE_TOO_LARGE"
  | "KEYFILE_TOO_MANY_LINES"
  | "KEYFILE_BLANK_LINE"
  | "KEYFILE_COMMENT"
  | "KEYFILE_KEY_ID"
  | "KEYFILE_DUPLICATE_ID"
  | "KEYFILE_ORDER"
  | "KEYFILE_FIELD_COUNT"
  | "KEYFILE_ALGORITHM"
  | "KEYFILE_NULL_ALGORITHM"
  | "KEYFILE_HEX"
  | "KEYFILE_KEY_LENGTH"
  | "KEYFILE_ICV";

export interface KeyFileFault {
  readonly code: KeyFileCode;
  /** Counted from 1; null when the whole file is at fault. */
  readonly line: number | null;
  readonly problem: string;
  readonly expected: string;
  readonly remedy: string;
}

/** A problem found in one line, before it is known which line it was. */
export interface LineProblem {
  readonly code: KeyFileCode;
  readonly problem: string;
  /** Replaces the general expectation of the code where more is known. */
  readonly expected?: string;
}

interface Advice {
  readonly expected: string;
  readonly remedy: string;
}

const grammar =
  '"ID rfc4106(gcm(aes)) HEXKEY 128" (4 fields) or "ID AUTH HEXKEY CIPHER HEXKEY" (5 fields)';
const writeNew = 'write the line with "spindle keyfile generate" or "next"';

const advice: Readonly<Record<KeyFileCode, Advice>> = {
  KEYFILE_EMPTY: {
    expected: "at least one line with a key",
    remedy: 'write one with "spindle keyfile generate"; if it is being written now, wait',
  },
  KEYFILE_TOO_LARGE: { expected: "a key file", remedy: "check the path" },
  KEYFILE_TOO_MANY_LINES: { expected: "one or two lines", remedy: "delete the oldest lines" },
  KEYFILE_BLANK_LINE: { expected: "one key per line", remedy: "delete the line" },
  KEYFILE_COMMENT: { expected: "one key per line, no comments", remedy: "delete the line" },
  KEYFILE_KEY_ID: {
    expected: "a whole decimal number, optionally followed by +",
    remedy: "correct the key id",
  },
  KEYFILE_DUPLICATE_ID: {
    expected: "a different key id on each line",
    remedy: "give the new key the next id, or delete the line that is not in use",
  },
  KEYFILE_ORDER: {
    expected: "oldest key first, newest last, at most half a ring ahead",
    remedy: "swap the lines, or give the new key the id that follows",
  },
  KEYFILE_FIELD_COUNT: { expected: grammar, remedy: writeNew },
  KEYFILE_ALGORITHM: { expected: "a known algorithm", remedy: "correct the algorithm's name" },
  KEYFILE_NULL_ALGORITHM: {
    expected: "an algorithm that protects",
    remedy: "use rfc4106(gcm(aes)); cipher_null and digest_null are always refused",
  },
  KEYFILE_HEX: { expected: "an even number of hex digits, optionally after 0x", remedy: writeNew },
  KEYFILE_KEY_LENGTH: { expected: "a key of the algorithm's length", remedy: writeNew },
  KEYFILE_ICV: { expected: "an ICV of 96, 128 or 256 bits", remedy: "write 128" },
};

export function makeFault(found: LineProblem, line: number | null): KeyFileFault {
  const { code, problem } = found;
  const { expected, remedy } = advice[code];
  return { code, line, problem, expected: found.expected ?? expected, remedy };
}

/** One line of text: `keys:2: the key has …; expected …; to fix it, …`. */
export function describeFault(fault: KeyFileFault, path: string): string {
  const place = fault.line === null ? path : `${path}:${fault.line}`;
  return `${place}: ${fault.problem}; expected ${fault.expected}; to fix it, ${fault.remedy}`;
}
