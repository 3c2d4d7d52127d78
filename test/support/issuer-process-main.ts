/** The issuer of a hub as a program of its own, so that a test can look into its memory. It answers each message with one. */
import { openIssuer } from "../../src/adapters/pki/issuer.js";
import type { Fingerprint } from "../../src/core/gateway/link.js";
import type { Result } from "../../src/core/result.js";
import type { PortFailure } from "../../src/ports/failure.js";
import type { Issued, IssueOrder } from "../../src/ports/issuer.js";

export type IssuerCall =
  | { readonly kind: "issue"; readonly order: IssueOrder; readonly atMs: number }
  | { readonly kind: "keep-roots"; readonly used: readonly Fingerprint[] };
export type IssuerReply = Result<Issued | null, PortFailure>;

const [directory, rootMs, leafMs] = process.argv.slice(2) as [string, string, string];
let nowMs = 0;
const issuer = openIssuer({ directory, lifetimes: { rootMs: Number(rootMs), leafMs: Number(leafMs) }, now: () => new Date(nowMs) });

process.on("message", (call: IssuerCall) => {
  const reply = (result: IssuerReply): void => void process.send!(result);
  if (call.kind === "keep-roots") {
    issuer.keepRoots(call.used, reply);
    return;
  }
  nowMs = call.atMs;
  issuer.issue(call.order, reply);
});
