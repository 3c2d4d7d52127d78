/**
 * One end of one generation of a pair: its files, its OpenVPN process, the connection to it and the probes through its tunnel. All of
 * its operations run one after another.
 * Invariant: what is told of the process is read from the system each time; a connection that broke is made anew, a process that
 * waits for its release is released, whoever started it.
 */
import { chmod } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import type { PeerEcho, Presence } from "../../core/gateway/report.js";
import { limits } from "../../core/limits.js";
import type { Log } from "../../ports/log.js";
import { PortError } from "../port-error.js";
import { orNull } from "../registry/settle.js";
import type { Description, GatewayFiles, ListedGateway } from "./gateway-files.js";
import { Management } from "./management.js";
import type { ManagementEvent } from "./management-lines.js";
import type { Place } from "./place.js";
import { Probe, type ProbeResult } from "./probe.js";
import type { ProbeIdentity } from "./probe-packets.js";
import { endProcess, findProcesses, isAlive, lastLine, startProcess, type ProcessRef } from "./processes.js";

export interface GatewayContext {
  readonly program: string;
  readonly log: Log;
  changed(): void;
}

export interface Started {
  readonly description: Description;
  readonly place: Place;
  readonly identity: ProbeIdentity;
}

export interface LiveFacts {
  readonly process: Presence;
  readonly tunnel: Presence;
  readonly answer: PeerAnswer | null;
}

/** What the peer said last, and the address that it said so from. */
export interface PeerAnswer {
  readonly peer: PeerEcho;
  readonly address: string;
}

export class Gateway {
  readonly id: ListedGateway;
  readonly files: GatewayFiles;
  readonly #context: GatewayContext;
  #started: Started | null;
  #process: ProcessRef | null;
  #management: Management | null = null;
  #probe: Promise<Probe | null> | null = null;
  #answer: PeerAnswer | null = null;
  /** Rounds of probes that went unanswered since. */
  #missed = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    id: ListedGateway,
    files: GatewayFiles,
    context: GatewayContext,
    found: { readonly started: Started | null; readonly process: ProcessRef | null },
  ) {
    this.id = id;
    this.files = files;
    this.#context = context;
    this.#started = found.started;
    this.#process = found.process;
  }

  get started(): Started | null {
    return this.#started;
  }

  /** Runs after all that was begun before on this gateway. */
  inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async isRunning(): Promise<boolean> {
    return this.#process !== null && (await isAlive(this.#process));
  }

  /** Starts the process that the files describe; ends one that runs with older files. */
  async run(started: Started): Promise<void> {
    await this.halt();
    this.#started = started;
    this.#process = await startProcess(this.#context.program, this.files.configuration, this.files.errors);
    const patienceEndsMs = performance.now() + limits.gatewayStartMsMax;
    while (!(await this.#connect())) {
      if (!(await this.isRunning())) throw startFailed(await lastLine(this.files.errors));
      if (performance.now() > patienceEndsMs) throw startFailed("it opened no management socket");
      await wait(limits.gatewayStartPollMs);
    }
  }

  /** @param wantsProbe sends probes, where the tunnel is up; without them the last answer stands */
  async observe(wantsProbe: boolean): Promise<LiveFacts> {
    if (!(await this.isRunning())) {
      this.#letGo();
      return { process: "down", tunnel: "down", answer: null };
    }
    if (!(await this.#connect())) return { process: "up", tunnel: "unknown", answer: this.#forget() };
    const isUp = await orNull(this.#management!.isUp());
    const probe = await this.#openProbe();
    if (isUp !== true) return { process: "up", tunnel: isUp === false ? "down" : "unknown", answer: this.#forget() };
    if (wantsProbe) this.#note(probe === null ? null : await probe.run());
    return { process: "up", tunnel: "up", answer: this.#answer };
  }

  /** One round of probes that nobody answered may have been lost; the peer is then known, and proves nothing. */
  #note(result: ProbeResult | null): void {
    const answer = result === null ? null : this.#answerOf(result);
    this.#missed = answer === null ? this.#missed + 1 : 0;
    const last = this.#missed < limits.gatewayProbesMissedMax ? this.#answer : null;
    this.#answer = answer ?? (last === null ? null : { ...last, peer: { ...last.peer, answered: 0 } });
  }

  /** The peer, as far as OpenVPN let it in: only the one certificate that the description names. */
  #answerOf({ identity, address, answered, fullSize }: ProbeResult): PeerAnswer | null {
    const { description } = this.#started!;
    if (identity.link !== this.id.link) return null;
    const { site, pair, number, digest } = identity;
    return { address, peer: { site, pair, number, digest, certificate: description.peerCertificate, answered, fullSize } };
  }

  #forget(): null {
    this.#answer = null;
    this.#missed = 0;
    return null;
  }

  /** Ends the process; its device stays. */
  async halt(): Promise<void> {
    this.#letGo();
    // Also one that a site started and did not live to note.
    const others = await findProcesses(this.files.directory);
    for (const target of this.#process === null ? others : [this.#process, ...others]) await endProcess(target);
    this.#process = null;
  }

  /** Leaves process and tunnel as they are. */
  close(): void {
    this.#letGo();
  }

  #letGo(): void {
    this.#forget();
    this.#management?.close();
    this.#management = null;
    void this.#probe?.then((probe) => probe?.close());
    this.#probe = null;
  }

  /** @returns false when the process does not listen, yet or any more */
  async #connect(): Promise<boolean> {
    if (this.#management !== null) return true;
    const path = this.files.processFiles.managementSocket;
    const management = await orNull(
      Management.connect(path, {
        event: (event) => {
          this.#take(event);
        },
        closed: () => {
          this.#management = null;
          this.#context.changed();
        },
      }),
    );
    if (management === null) return false;
    this.#management = management;
    // OpenVPN makes it for everybody, whatever the umask; its directory lets only root in. Before the connection it may not be there yet.
    await chmod(path, 0o600).catch(() => undefined);
    return (await orNull(management.follow().then(() => management.release()))) !== null;
  }

  #take(event: ManagementEvent): void {
    if (event.kind === "state") this.#stateChanged();
    else if (event.kind === "hold") void orNull(this.#management?.release() ?? Promise.resolve());
    else if (event.kind === "log") this.#log(event.flags, event.text);
  }

  /** The peer may ask from the moment that it can. */
  #stateChanged(): void {
    void this.#openProbe();
    this.#context.changed();
  }

  /** OpenVPN tries again by itself: only what ends it is an error here. */
  #log(flags: string, text: string): void {
    const { link, pair, number } = this.id;
    const level = flags.includes("F") ? "error" : flags.includes("N") ? "info" : "debug";
    this.#context.log.write(level, "openvpn", { link, pair, number, flags, text });
  }

  /** Null while the device has not its address. */
  async #openProbe(): Promise<Probe | null> {
    if (this.#started === null) return null;
    const { place, identity } = this.#started;
    const opening = (this.#probe ??= Probe.open(place.localAddress, place.remoteAddress, identity).catch(() => null));
    const probe = await opening;
    if (probe === null && this.#probe === opening) this.#probe = null;
    return probe;
  }
}

function startFailed(why: string): PortError {
  return new PortError("OPENVPN_START_FAILED", `OpenVPN did not start: ${why}`, true);
}
