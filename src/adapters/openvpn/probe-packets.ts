/**
 * Probes inside a tunnel: a question with a random number, and an answer with the same number, as long as the question, that says who
 * answers. Not longer, so that nobody is flooded with answers that he did not pay for.
 */
import type { Digest, Fingerprint, LinkName, PairIndex, SiteName } from "../../core/gateway/link.js";
import {
  parseDigest,
  parseFingerprint,
  parseLinkName,
  parsePairIndex,
  parseSiteName,
} from "../../core/gateway/link.js";

/** Who runs this end, by its own word. */
export interface ProbeIdentity {
  readonly link: LinkName;
  readonly site: SiteName;
  readonly pair: PairIndex;
  readonly number: number;
  readonly digest: Digest;
  /** Of its own certificate. */
  readonly certificate: Fingerprint;
}

const questionMark = "SPq1";
const answerMark = "SPa1";
export const nonceBytes = 16;
const headBytes = 4 + nonceBytes;
/** An identity has at most 63 + 63 + 64 + 64 characters and its names. */
export const probeBytesMin = 512;

export function encodeQuestion(nonce: Uint8Array, sizeBytes: number): Buffer {
  const packet = Buffer.alloc(sizeBytes);
  packet.write(questionMark, "latin1");
  packet.set(nonce, 4);
  return packet;
}

/** @returns null for what is no question */
export function encodeAnswer(question: Buffer, identity: ProbeIdentity): Buffer | null {
  if (question.length < probeBytesMin || question.toString("latin1", 0, 4) !== questionMark) return null;
  const answer = Buffer.alloc(question.length);
  answer.write(answerMark, "latin1");
  question.copy(answer, 4, 4, headBytes);
  answer.write(`${JSON.stringify(identity)}\n`, headBytes);
  return answer;
}

export interface ProbeAnswer {
  readonly nonce: string;
  readonly sizeBytes: number;
  readonly identity: ProbeIdentity;
}

/** @returns null for what is no answer: everything in it is checked */
export function decodeAnswer(packet: Buffer): ProbeAnswer | null {
  if (packet.length < probeBytesMin || packet.toString("latin1", 0, 4) !== answerMark) return null;
  const end = packet.indexOf(10, headBytes);
  if (end === -1) return null;
  const identity = readIdentity(packet.toString("utf8", headBytes, end));
  return identity === null
    ? null
    : { nonce: packet.toString("hex", 4, headBytes), sizeBytes: packet.length, identity };
}

function readIdentity(text: string): ProbeIdentity | null {
  let fields: Partial<Record<keyof ProbeIdentity, unknown>>;
  try {
    fields = Object(JSON.parse(text)) as typeof fields;
  } catch {
    return null;
  }
  const link = parseLinkName(textOf(fields.link));
  const site = parseSiteName(textOf(fields.site));
  const pair = parsePairIndex(Number(fields.pair));
  const digest = parseDigest(textOf(fields.digest));
  const certificate = parseFingerprint(textOf(fields.certificate));
  const { number } = fields;
  if (!link.ok || !site.ok || !pair.ok || !digest.ok || !certificate.ok) return null;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) return null;
  return {
    link: link.value,
    site: site.value,
    pair: pair.value,
    number,
    digest: digest.value,
    certificate: certificate.value,
  };
}

/** No name is empty, so nothing else than a text passes for one. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
