/** How a request to an adapter ended, in one word. */
import assert from "node:assert/strict";
import { PortError } from "../../src/adapters/port-error.js";

/** Its code when it was refused, `none` when it was not. */
export async function codeOf(request: Promise<unknown>): Promise<string> {
  try {
    await request;
    return "none";
  } catch (cause) {
    assert.ok(cause instanceof PortError, String(cause));
    return cause.code;
  }
}
