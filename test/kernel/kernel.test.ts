/**
 * Netlink codec and sockets on a real kernel, and ESP between two of its namespaces. One guest runs
 * all cases but those that need modules to be missing.
 */
import { fileURLToPath } from "node:url";
import { declareCases } from "../support/kernel-cases.js";
import { caseSets } from "./case-sets.js";

const program = fileURLToPath(new URL("guest.js", import.meta.url));
/** A quiet machine needs 20 s. */
const timeoutMs = 300_000;

for (const { name, cases, withoutModules } of caseSets)
  declareCases(cases, [program, name], { timeoutMs, withoutModules });
