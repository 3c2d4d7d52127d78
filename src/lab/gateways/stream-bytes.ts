/** The bytes of a lab's stream: each tells its place, so that a lost, doubled or changed one is noticed. */
const period = 251;
const pattern = Buffer.from(Array.from({ length: period }, (_, index) => index));

export function streamBytes(start: number, length: number): Buffer {
  const chunk = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) chunk[at] = pattern[(start + at) % period]!;
  return chunk;
}

export function isStream(chunk: Buffer, start: number): boolean {
  return chunk.every((byte, at) => byte === (start + at) % period);
}
