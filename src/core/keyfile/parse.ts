/**
 * Parses a whole key file, or says everything that is wrong with it: nothing of a bad file is ever
 * used (cilium hazard H3: a good first line before a bad one moved the running key). Pure; never
 * throws; wipes what it decoded of a file it refuses. It does not know which keys are in use: that
 * is the keystore's.
 */
import { isNewer, parseKeyId, type KeyId, type KeyRing } from "../key-id.js";
import { limits } from "../limits.js";
import { fail, succeed, type Result } from "../result.js";
import { makeFault, type KeyFileFault, type LineProblem } from "./fault.js";
import { decodeDecimal, splitFields, splitLines, type Span } from "./fields.js";
import { parseKey } from "./parse-key.js";
import { wipeLines, type KeyFile, type KeyLine } from "./key-file.js";

/**
 * Source: design 4.1, both grammars; docs/reference/keyfile.md.
 * @param ring the largest key id: 255, or 15 for files that Cilium must read too
 * @returns key bytes that the caller wipes, or one fault per bad line (at least one)
 */
export function parseKeyFile(
  bytes: Uint8Array,
  ring: KeyRing,
): Result<KeyFile, readonly KeyFileFault[]> {
  const whole = checkWhole(bytes);
  if (whole !== null) return fail([makeFault(whole, null)]);
  const lines: KeyLine[] = [];
  const faults: KeyFileFault[] = [];
  const ids: SeenIds = { lineOf: new Map(), newest: null };
  for (const [index, span] of splitLines(bytes, limits.keyFileLinesMax).entries()) {
    const parsed = parseLine(bytes, span, ring, ids, index + 1);
    if (parsed.ok) lines.push(parsed.value);
    else faults.push(makeFault(parsed.error, index + 1));
  }
  if (faults.length === 0) return succeed({ lines });
  wipeLines(lines);
  return fail(faults);
}

function checkWhole(bytes: Uint8Array): LineProblem | null {
  if (bytes.length > limits.keyFileBytesMax) {
    return { code: "KEYFILE_TOO_LARGE", problem: `more than ${limits.keyFileBytesMax} bytes` };
  }
  const lines = splitLines(bytes, limits.keyFileLinesMax + 1);
  if (lines.length > limits.keyFileLinesMax) {
    return { code: "KEYFILE_TOO_MANY_LINES", problem: `more than ${limits.keyFileLinesMax} lines` };
  }
  if (lines.every((line) => splitFields(bytes, line, 1).length === 0)) {
    return { code: "KEYFILE_EMPTY", problem: "the file holds no key" };
  }
  return null;
}

/** The ids of the lines above, those of bad lines included. */
interface SeenIds {
  readonly lineOf: Map<KeyId, number>;
  newest: KeyId | null;
}

/** One more than the longest form, to tell "too many" from "enough". */
const fieldsMax = 6;

function parseLine(
  bytes: Uint8Array,
  span: Span,
  ring: KeyRing,
  ids: SeenIds,
  lineNumber: number,
): Result<KeyLine, LineProblem> {
  const [idField, ...keyFields] = splitFields(bytes, span, fieldsMax);
  if (idField === undefined) {
    return fail({ code: "KEYFILE_BLANK_LINE", problem: "the line is blank" });
  }
  if (bytes[idField.start] === hash) {
    return fail({ code: "KEYFILE_COMMENT", problem: "the line is a comment" });
  }
  const id = parseIdField(bytes, idField, ring);
  if (!id.ok) return id;
  const clash = noteId(ids, id.value.keyId, ring, lineNumber);
  if (clash !== null) return fail(clash);
  const key = parseKey(bytes, keyFields);
  return key.ok ? succeed({ ...id.value, key: key.value }) : key;
}

const hash = 0x23;
const plusSign = 0x2b;

function parseIdField(
  bytes: Uint8Array,
  field: Span,
  ring: KeyRing,
): Result<Pick<KeyLine, "keyId" | "plus">, LineProblem> {
  const plus = bytes[field.end - 1] === plusSign;
  const value = decodeDecimal(bytes, plus ? { start: field.start, end: field.end - 1 } : field);
  if (value === null) {
    return fail({ code: "KEYFILE_KEY_ID", problem: "the first field is not a key id" });
  }
  const keyId = parseKeyId(value, ring);
  if (keyId.ok) return succeed({ keyId: keyId.value, plus });
  const reserved = ring === 255 ? ", without 192 to 207 (strongSwan's SPIs)" : "";
  const expected = `a key id from 1 to ${ring}${reserved}`;
  return fail({ code: "KEYFILE_KEY_ID", problem: "this key id cannot be used", expected });
}

/** Refuses an id that is on a line above, or older than the line above; remembers it otherwise. */
function noteId(ids: SeenIds, keyId: KeyId, ring: KeyRing, lineNumber: number): LineProblem | null {
  const before = ids.lineOf.get(keyId);
  if (before !== undefined) {
    const problem = `key id ${keyId} is already on line ${before}`;
    return { code: "KEYFILE_DUPLICATE_ID", problem };
  }
  const above = ids.newest;
  ids.lineOf.set(keyId, lineNumber);
  ids.newest = keyId;
  if (above === null || isNewer(keyId, above, ring)) return null;
  return {
    code: "KEYFILE_ORDER",
    problem: `key id ${keyId} is older than ${above} of the line above (ids wrap after ${ring})`,
  };
}
