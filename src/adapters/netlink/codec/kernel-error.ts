/**
 * Answers of the kernel to a request: acknowledgements and errors, with the text and the place that
 * its extended acknowledgement gives (NETLINK_EXT_ACK).
 */
import { errorAttribute, headerBytes, netlinkFlag, netlinkType } from "./constants.js";
import { readAttributes, readWord, viewOf, type ReceivedMessage } from "./received.js";

export interface KernelError {
  /** Positive. */
  readonly errno: number;
  /** The kernel's own words, e.g. "Requested AEAD algorithm not found"; null when it gave none. */
  readonly text: string | null;
  /** Offset of the offending attribute in the request, from its header on. */
  readonly offset: number | null;
}

/**
 * Of a message of type `error` or `done`.
 * @returns null for an acknowledgement, and for a dump that ended well
 */
export function readKernelError(message: ReceivedMessage): KernelError | null {
  if (message.payload.length < 4) return null;
  const status = viewOf(message.payload).getInt32(0, true);
  if (status >= 0) return null;
  if ((message.flags & netlinkFlag.extended) === 0)
    return { errno: -status, text: null, offset: null };
  const attributes = readAttributes(message.payload, attributesStart(message));
  const text = attributes.get(errorAttribute.message);
  return {
    errno: -status,
    text: text === undefined ? null : readText(text),
    offset: readWord(attributes.get(errorAttribute.offset)),
  };
}

/** An error repeats the refused message: its header only when it is capped. */
function attributesStart({ type, flags, payload }: ReceivedMessage): number {
  if (type === netlinkType.done) return 4;
  if ((flags & netlinkFlag.capped) !== 0 || payload.length < 8) return 4 + headerBytes;
  return 4 + viewOf(payload).getUint32(4, true);
}

/** ASCII up to the terminating zero. */
function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...(end === -1 ? bytes : bytes.subarray(0, end)));
}
