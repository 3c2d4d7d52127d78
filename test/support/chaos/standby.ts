/** A second controller of a lab, with the lab's configuration, under a name of its own and by a way of its own. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeController } from "../../../src/lab/fleet/controller-program.js";
import type { Program } from "../../../src/lab/fleet/program.js";
import type { Lab, LabHost } from "../../../src/lab/lab.js";

const stopGraceMs = 3_000;
const restartMsMax = 10_000;
const pollMs = 20;

export class Standby {
  readonly program: Program;
  readonly #directory: string;

  /** @param registry the section that says where it is */
  constructor({ layout }: Lab, { spindle, note }: LabHost, registry: object) {
    const directory = join(layout.directory, "controller-2");
    this.#directory = directory;
    mkdirSync(directory, { mode: 0o700 });
    const config = join(directory, "controller.yaml");
    const ofFirst = JSON.parse(readFileSync(layout.controllerConfig, "utf8")) as object;
    const own = { name: "controller-2", stateDir: join(directory, "state"), registry, metrics: { enabled: false } };
    writeFileSync(config, JSON.stringify({ ...ofFirst, ...own }), { mode: 0o600 });
    const name = "controller 2";
    this.program = makeController({ name, directory, config, spindle, recordFlags: [], note, gaveUp: note });
    this.program.start();
  }

  /** By force. Resolves when it has been started again. */
  async kill(): Promise<void> {
    await this.program.crash();
    const untilMs = performance.now() + restartMsMax;
    while (this.program.pid === null) {
      assert.ok(performance.now() < untilMs, "controller 2 starts again");
      await sleep(pollMs);
    }
  }

  /** By its log. */
  hasLed(): boolean {
    return readFileSync(join(this.#directory, "controller.log"), "utf8").includes('"msg":"leading"');
  }

  async stop(): Promise<void> {
    await this.program.stop(stopGraceMs);
  }
}
