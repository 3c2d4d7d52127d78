/**
 * Runs programs in the repository, and says what it waits for when that takes longer than two
 * seconds.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

const noticeAfterMs = 2_000;

/**
 * @param {string} activity what to say while waiting, e.g. "building"
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<boolean>} whether it exited with 0; its output went to the terminal
 */
export async function runCommand(activity, program, args, env = process.env) {
  const startedMs = performance.now();
  const notice = setTimeout(() => console.error(`${activity} ...`), noticeAfterMs);
  const child = spawn(program, args, { cwd: root, stdio: "inherit", env });
  try {
    const [status] = await once(child, "exit");
    const seconds = (performance.now() - startedMs) / 1_000;
    if (status === 0 && seconds * 1_000 > noticeAfterMs)
      console.error(`${activity} done in ${seconds.toFixed(1)} s`);
    return status === 0;
  } catch (cause) {
    console.error(`${program} cannot be started: ${cause.message}`);
    return false;
  } finally {
    clearTimeout(notice);
  }
}
