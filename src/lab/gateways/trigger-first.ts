/**
 * One end of a link as the field runs it (kubeslice worker-operator #453): a single gateway, replaced as soon as new credentials are
 * there, whatever the other end does, and fixed polling. It runs real OpenVPN; what it logs are the field's five errors, each where the
 * field raises it. The field's times are all divided by `timeScale`.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { makeLog } from "../../adapters/log/log.js";
import { Management } from "../../adapters/openvpn/management.js";
import { placeOf, type LinkSettings, type Place } from "../../adapters/openvpn/place.js";
import { Probe } from "../../adapters/openvpn/probe.js";
import type { ProbeIdentity } from "../../adapters/openvpn/probe-packets.js";
import { endProcess, findProcesses, isAlive, startProcess, type ProcessRef } from "../../adapters/openvpn/processes.js";
import { systemClock } from "../../adapters/system/clock.js";
import type { Digest, Fingerprint, PairIndex, Side, SiteName } from "../../core/gateway/link.js";
import type { Log } from "../../ports/log.js";
import { openvpnPath } from "./spindle-fleet.js";

export interface TriggerFirstSettings {
  readonly side: Side;
  readonly site: SiteName;
  readonly link: LinkSettings;
  /** Of the lab: `generation` in it tells which credentials are the newest. */
  readonly directory: string;
}

export const timeScale = 10;
/** The field's, in milliseconds: check of the tunnel, reconcile pass, completion poll, wait for the configuration. */
const fieldMs = { check: 6_000, pass: 10_000, completion: 120_000, configuration: 1_000 };

/** The five texts by which the field's logs were counted. */
export const fieldErrors = {
  noInterface: "unable to find the tun interface",
  notUp: "tunnel is not up yet",
  context: "connection context failed",
  peer: "marshal called with nil",
  route: "route add failed: file exists",
} as const;

const pair = 0 as PairIndex;

export async function runTriggerFirst(settings: TriggerFirstSettings, signal: AbortSignal): Promise<void> {
  const log = makeLog({ level: "info", fields: { site: settings.site } });
  const gateway = new FieldGateway(settings, log);
  const loops = [
    every(fieldMs.check, () => gateway.check(), signal),
    every(fieldMs.pass, () => gateway.pass(), signal),
    every(fieldMs.completion, () => gateway.complete(), signal),
  ];
  await Promise.all(loops);
  for (const target of await findProcesses(settings.directory)) await endProcess(target);
  process.exit();
}

async function every(periodMs: number, run: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await run();
    await wait(periodMs / timeScale, undefined, { signal }).catch(() => undefined);
  }
}

class FieldGateway {
  readonly #settings: TriggerFirstSettings;
  readonly #log: Log;
  readonly #place: Place;
  #generation = 0;
  #process: ProcessRef | null = null;
  #management: Management | null = null;
  #probe: Probe | null = null;
  #answered = 0;

  constructor(settings: TriggerFirstSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#place = placeOf(settings.link, settings.side, pair, 0);
  }

  /** The sidecar looks for a device with an address. */
  async check(): Promise<void> {
    if (this.#generation > 0 && !(await this.#hasDevice())) this.#log.write("error", fieldErrors.noInterface, {});
  }

  /** The worker: take up new credentials, push the connection context, ask for the peer. */
  async pass(): Promise<void> {
    const newest = Number(await readFile(join(this.#settings.directory, "generation"), "utf8").catch(() => "0"));
    if (newest > this.#generation) await this.#replace(newest);
    if (this.#generation === 0) return;
    if (await this.#hasDevice()) {
      await this.#addRoutes();
    } else {
      this.#log.write("error", fieldErrors.notUp, {});
      // The same fault, seen by the caller.
      this.#log.write("error", fieldErrors.context, {});
    }
    await this.#askPeer();
  }

  /** The rotation is over when the poll finds the peer at the new generation. */
  async complete(): Promise<void> {
    const { directory, side } = this.#settings;
    if (this.#answered > 0) await writeFile(join(directory, `done-${side}`), String(this.#answered));
  }

  /** Old gateway gone first, then the new one begins. */
  async #replace(generation: number): Promise<void> {
    this.#generation = generation;
    this.#answered = 0;
    this.#probe?.close();
    this.#probe = null;
    this.#management?.close();
    this.#management = null;
    if (this.#process !== null) await endProcess(this.#process);
    void this.#start(generation);
  }

  async #start(generation: number): Promise<void> {
    const { directory, side } = this.#settings;
    const folder = join(directory, `g${generation}`, side);
    await wait(fieldMs.configuration / timeScale);
    const started = await startProcess(openvpnPath, join(folder, "openvpn.conf"), join(folder, "errors.log"));
    this.#process = started;
    const listener = { event: () => undefined, closed: () => undefined };
    while (this.#management === null && (await isAlive(started))) {
      this.#management = await Management.connect(join(folder, "m"), listener).catch(() => null);
      await wait(10);
    }
    await this.#management?.release();
  }

  async #hasDevice(): Promise<boolean> {
    const shown = await ip(["-o", "-4", "addr", "show", "dev", this.#place.device]);
    return shown.ok && shown.text !== "";
  }

  /** Exclusive, and sent again in each pass. */
  async #addRoutes(): Promise<void> {
    for (const { address, length } of this.#settings.link.remoteNetworks) {
      const { preferredSource } = this.#settings.link;
      const source = preferredSource === null ? [] : ["src", preferredSource];
      const added = await ip(["route", "add", `${address}/${length}`, "dev", this.#place.device, ...source]);
      if (!added.ok && added.text.includes("File exists")) this.#log.write("error", fieldErrors.route, {});
    }
  }

  async #askPeer(): Promise<void> {
    const identity = this.#identity();
    const { localAddress, remoteAddress } = this.#place;
    this.#probe ??= await Probe.open(localAddress, remoteAddress, identity).catch(() => null);
    const answer = (await this.#probe?.run()) ?? null;
    if (answer === null) this.#log.write("error", fieldErrors.peer, { atMs: Math.round(systemClock.nowMs()) });
    else if (answer.identity.number === this.#generation) this.#answered = this.#generation;
  }

  #identity(): ProbeIdentity {
    const { link, site } = this.#settings;
    const hex = createHash("sha256").update(String(this.#generation)).digest("hex");
    return { link: link.name, site, pair, number: this.#generation, digest: hex as Digest, certificate: hex as Fingerprint };
  }
}

function ip(words: readonly string[]): Promise<{ readonly ok: boolean; readonly text: string }> {
  return new Promise((done) => {
    execFile("ip", words, (error, stdout, stderr) => done({ ok: error === null, text: stdout + stderr }));
  });
}
