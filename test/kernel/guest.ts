/** Runs in the guest: `node guest.js SET`. */
import { runCases } from "../support/kernel-cases.js";
import { caseSets, fleetSet, longFleetSet } from "./case-sets.js";

const set = [...caseSets, fleetSet, longFleetSet].find(({ name }) => name === process.argv[2]);
if (set === undefined) throw new Error(`no set of cases is called ${process.argv[2]}`);
await runCases(set.cases);
