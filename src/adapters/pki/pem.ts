/**
 * Private keys as PEM without a copy that cannot be wiped: a text of JavaScript stays in memory until it is collected, so the
 * encoding goes from buffer to buffer.
 */
const alphabet = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const padding = 61;
const newline = 10;
/** RFC 7468, 2: a line has 64 characters, which are 48 bytes. */
const bytesPerLine = 48;

/** @returns a buffer that the caller wipes; `der` is left as it is */
export function encodePem(label: string, der: Uint8Array): Buffer {
  const lines = Math.ceil(der.length / bytesPerLine);
  const body = Buffer.alloc(4 * Math.ceil(der.length / 3) + lines);
  let at = 0;
  for (let start = 0; start < der.length; start += bytesPerLine) {
    const end = Math.min(der.length, start + bytesPerLine);
    for (let i = start; i < end; i += 3) at = encodeGroup(body, at, der, i);
    body[at] = newline;
    at += 1;
  }
  const pem = Buffer.concat([
    Buffer.from(`-----BEGIN ${label}-----\n`),
    body,
    Buffer.from(`-----END ${label}-----\n`),
  ]);
  body.fill(0);
  return pem;
}

/** Three bytes, or the last one or two, as four characters. */
function encodeGroup(to: Buffer, at: number, der: Uint8Array, i: number): number {
  const [one, two, three] = [der[i]!, der[i + 1], der[i + 2]];
  to[at] = alphabet[one >>> 2]!;
  to[at + 1] = alphabet[((one & 3) << 4) | ((two ?? 0) >>> 4)]!;
  to[at + 2] = two === undefined ? padding : alphabet[((two & 15) << 2) | ((three ?? 0) >>> 6)]!;
  to[at + 3] = three === undefined ? padding : alphabet[three & 63]!;
  return at + 4;
}
