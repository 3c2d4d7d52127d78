/** Reads the rules of this network namespace's firewall. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { limits } from "../../core/limits.js";
import type { Firewall } from "./facts.js";
import { parseRuleset } from "./ruleset.js";

export async function readFirewall(): Promise<Firewall> {
  try {
    const options = { timeout: limits.doctorProgramMsMax, maxBuffer: limits.doctorRulesetBytesMax };
    const { stdout } = await promisify(execFile)("nft", ["-j", "list", "ruleset"], options);
    const ruleset = parseRuleset(stdout);
    if (ruleset === null) return { kind: "unread", why: "the listing of nft is not understood" };
    return { kind: "read", ruleset, legacyTables: ["ip", "ip6"].flatMap(legacyTables) };
  } catch (cause) {
    return { kind: "unread", why: whyOf(cause as NodeJS.ErrnoException & { readonly stderr?: string }) };
  }
}

function whyOf({ code, message, stderr = "" }: NodeJS.ErrnoException & { readonly stderr?: string }): string {
  if (code === "ENOENT") return "the program nft is not installed";
  return stderr.trim().split("\n")[0] || message;
}

/** Tables that somebody has used; absent without the module. */
function legacyTables(family: string): readonly string[] {
  try {
    const names = readFileSync(`/proc/net/${family}_tables_names`, "latin1").split("\n");
    return names.filter((name) => name !== "").map((name) => `${family} ${name}`);
  } catch {
    return [];
  }
}
