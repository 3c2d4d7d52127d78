/**
 * The process that a controller starts to write one key: reads its task from stdin, says the outcome on stdout, and ends.
 * It ends at once when stdin does, as the controller is gone then: whoever leads next begins anew.
 */
import { openApiClient } from "../../adapters/registry/kubernetes/open.js";
import { faultOf } from "../exit.js";
import { writeNextKey } from "../operator/next-key-secret.js";
import { keyTaskSchema, type KeyOutcome } from "./next-key-messages.js";

async function perform(line: string): Promise<KeyOutcome> {
  const { place, secret, known } = keyTaskSchema.parse(JSON.parse(line));
  try {
    const client = openApiClient(place);
    const { keyId } = await writeNextKey(client, secret, known, false).finally(() => client.close());
    return { keyId };
  } catch (cause) {
    const { code, message, details, hint } = faultOf(cause);
    const isBug = code === "INTERNAL_ERROR";
    const parts = [message, ...(isBug ? [] : details), ...(isBug || hint === null ? [] : [hint])];
    return { code, message: parts.join("; ") };
  }
}

let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part: string) => {
  text += part;
  const end = text.indexOf("\n");
  if (end === -1) return;
  const line = text.slice(0, end);
  text = "";
  void perform(line).then((outcome) => {
    process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
  });
});
process.stdin.on("end", () => process.exit(1));
