#!/usr/bin/env node
/** Entry point of the `spindle` command. All it does is join the process with the program. */
import { run } from "./program.js";
import { makeProcessShell } from "./shell.js";

// A reader that goes away (`spindle status | head`) is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

const shell = makeProcessShell();
await run(process.argv.slice(2), shell);
process.exitCode = shell.exitCode();
