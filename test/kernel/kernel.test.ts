/**
 * Netlink codec and sockets on a real kernel, and ESP between two of its namespaces. One guest runs
 * all cases but those that need modules to be missing.
 */
import { fileURLToPath } from "node:url";
import { declareCases } from "../support/kernel-cases.js";
import { caseSets } from "./case-sets.js";

const program = fileURLToPath(new URL("guest.js", import.meta.url));
/** A quiet machine needs up to 60 s for a set, one with ten times the work of its processors four times as long. */
const timeoutMs = 360_000;

for (const { name, cases, withoutModules } of caseSets)
  declareCases(cases, [program, name], { timeoutMs, withoutModules });
