/** The cases of a fleet on a real kernel, pairwise over IPv6, with a hundred rotations in a row. */
import { fileURLToPath } from "node:url";
import { declareCases } from "../support/kernel-cases.js";
import { longFleetSet } from "../kernel/case-sets.js";

const program = fileURLToPath(new URL("../kernel/guest.js", import.meta.url));
const { name, cases } = longFleetSet;

declareCases(cases, [program, name], { timeoutMs: 1_500_000, memoryMib: 900 });
