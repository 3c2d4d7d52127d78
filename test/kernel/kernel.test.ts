/**
 * The kernel's dataplane on a real kernel: codec, sockets and port, ESP between namespaces, agents and
 * commands. Each set of cases has a guest of its own.
 */
import { fileURLToPath } from "node:url";
import { declareCases } from "../support/kernel-cases.js";
import { caseSets } from "./case-sets.js";

const program = fileURLToPath(new URL("guest.js", import.meta.url));
/** A quiet machine needs up to 60 s for a set, one with ten times the work of its processors four times as long. */
const timeoutMs = 360_000;

for (const { name, cases, withoutModules } of caseSets)
  declareCases(cases, [program, name], { timeoutMs, withoutModules });
