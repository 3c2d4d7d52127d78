/**
 * Has the next key written by a process of its own: the Secret's content is text in the memory of whoever reads it, which
 * cannot be wiped, and a controller lives for months. Here nothing but an id arrives.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { PortError } from "../../adapters/port-error.js";
import type { KubernetesPlace } from "../../adapters/registry/kubernetes/access.js";
import { settle } from "../../adapters/registry/settle.js";
import type { KeyId } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { NextKeyPort } from "../../ports/next-key.js";
import type { KeySecret } from "../operator/next-key-secret.js";
import { keyOutcomeSchema, type KeyOutcome, type KeyTask } from "./next-key-messages.js";

const program = fileURLToPath(new URL("./next-key-main.js", import.meta.url));

/** @param place the namespace is the Secret's. Processes that run when `signal` aborts are ended. */
export function openNextKey(place: KubernetesPlace, secret: KeySecret, signal: AbortSignal): NextKeyPort {
  return {
    write: ({ current, refused }, done) => {
      settle(writeKey({ place, secret, known: { current, refused: [...refused] } }, signal), done);
    },
  };
}

async function writeKey(task: KeyTask, signal: AbortSignal): Promise<KeyId> {
  const outcome = parseOutcome(await runProcess(`${JSON.stringify(task)}\n`, signal));
  if (outcome === null) throw failed("the process that writes the key ended without an answer");
  if ("keyId" in outcome) return outcome.keyId;
  throw new PortError(outcome.code, outcome.message, true);
}

function parseOutcome(line: string): KeyOutcome | null {
  try {
    const parsed = keyOutcomeSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** @returns what it printed; its stderr is nobody's to read */
function runProcess(task: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const timeout = AbortSignal.timeout(limits.keyWriteMsMax);
    const child = spawn(process.execPath, [program], {
      stdio: ["pipe", "pipe", "ignore"],
      signal: AbortSignal.any([signal, timeout]),
      killSignal: "SIGKILL",
    });
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (part: string) => {
      text = (text + part).slice(0, limits.keyWriteAnswerMax);
    });
    child.on("error", () => reject(failed("the process that writes the key could not be started, or took too long")));
    child.on("close", () => resolve(text));
    child.stdin.on("error", () => undefined); // It ended before it read its task: `close` tells.
    child.stdin.write(task);
  });
}

function failed(message: string): PortError {
  return new PortError("NEXT_KEY_FAILED", message, true);
}
