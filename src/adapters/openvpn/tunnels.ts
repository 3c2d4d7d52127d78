/**
 * The tunnel port over OpenVPN: a process, device, port and directory for each generation of a pair, and the kernel's routes.
 * Invariant: each operation can be done again after a crash at any point; what is here is read from directories and processes, never
 * remembered alone. It makes no decision: which gateway may go, and when, is the site's.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Fingerprint, Link, LinkName, PairIndex, Side, SiteName } from "../../core/gateway/link.js";
import { otherSide } from "../../core/gateway/link.js";
import type { Credentials, TrustRoot } from "../../core/gateway/record.js";
import type { Clock } from "../../ports/clock.js";
import type { Done, Stop } from "../../ports/failure.js";
import type { Log } from "../../ports/log.js";
import type { GatewayRef, LinkObservation, ObservedGateway, TunnelPort } from "../../ports/tunnel.js";
import { collectKeys } from "../crypto/collect-keys.js";
import type { Device, DeviceAddress } from "../netlink/route/model.js";
import type { RouteTable } from "../netlink/route/route-table.js";
import { isSignedByOneOf, readCertificate } from "../pki/certificate.js";
import { gatewayName } from "../pki/gateway-name.js";
import { makeRequest } from "../pki/request.js";
import { plainFingerprint } from "../pki/root-store.js";
import { PortError } from "../port-error.js";
import { settle } from "../registry/settle.js";
import { renderConfiguration } from "./configuration.js";
import { makeDevice } from "./device.js";
import { Gateway, type Started } from "./gateway.js";
import { GatewayFiles, listGateways, type Description, type ListedGateway } from "./gateway-files.js";
import { LinkRoutes } from "./link-routes.js";
import { placeOf, type LinkSettings, type Place } from "./place.js";
import { findProcesses, type ProcessRef } from "./processes.js";

export interface TunnelsOptions {
  /** Absolute; only root enters it. */
  readonly directory: string;
  readonly site: SiteName;
  readonly links: readonly LinkSettings[];
  /** Path of OpenVPN 2.6. */
  readonly program: string;
  readonly routes: RouteTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** Finds what an earlier life left: its processes go on. */
export async function openTunnels(options: TunnelsOptions): Promise<OpenVpnTunnels> {
  const tunnels = new OpenVpnTunnels(options);
  const processes = await findProcesses(options.directory);
  for (const id of await listGateways(options.directory)) await tunnels.adopt(id, processes);
  return tunnels;
}

export class OpenVpnTunnels implements TunnelPort {
  readonly #options: TunnelsOptions;
  readonly #gateways = new Map<string, Gateway>();
  readonly #listeners = new Set<(link: LinkName) => void>();

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  async adopt(id: ListedGateway, processes: readonly (ProcessRef & { configurationPath: string })[]): Promise<void> {
    const files = this.#filesOf(id);
    const description = await files.readDescription();
    const process = processes.find(({ configurationPath }) => configurationPath === files.configuration) ?? null;
    const settings = this.#options.links.find(({ name }) => name === id.link);
    const started = description === null || settings === undefined ? null : this.#startedOf(id, description, settings);
    const gateway = new Gateway(id, files, this.#contextOf(id.link), { started, process });
    this.#gateways.set(keyOf(id), gateway);
    // Connects, answers the peer's probes, and releases a process whose starter did not live to do so.
    await gateway.inTurn(() => gateway.observe(false));
  }

  prepare(gateway: GatewayRef, done: Done<string>): void {
    const target = this.#gatewayOf(idOf(gateway));
    settle(target.inTurn(() => this.#prepare(target)), done);
  }

  start(gateway: GatewayRef, credentials: Credentials, roots: readonly TrustRoot[], done: Done<null>): void {
    const target = this.#gatewayOf(idOf(gateway));
    settle(target.inTurn(() => this.#start(target, gateway, credentials, roots)), done);
  }

  observe(link: Link, probe: readonly GatewayRef[], done: Done<LinkObservation>): void {
    settle(this.#observe(link, probe), done);
  }

  replaceRoute(
    link: Link,
    side: Side,
    hops: readonly { readonly pair: PairIndex; readonly number: number; readonly slot: 0 | 1 }[],
    done: Done<LinkObservation["route"]>,
  ): void {
    const run = async (): Promise<LinkObservation["route"]> => {
      const settings = this.#settingsOf(link.name);
      const devices = hops.map(({ pair, slot }) => placeOf(settings, side, pair, slot).device);
      const routes = new LinkRoutes(this.#options.routes, settings);
      await routes.replace(devices);
      return routes.view(this.#hopsOf(link.name));
    };
    settle(run(), done);
  }

  remove(link: LinkName, pair: PairIndex, number: number, done: Done<null>): void {
    const id = { link, pair, number };
    const target = this.#gatewayOf(id);
    settle(target.inTurn(() => this.#remove(target)), done);
  }

  removeRoute(link: LinkName, done: Done<null>): void {
    const run = async (): Promise<null> => {
      await new LinkRoutes(this.#options.routes, this.#settingsOf(link)).remove();
      return null;
    };
    settle(run(), done);
  }

  watch(changed: (link: LinkName) => void): Stop {
    this.#listeners.add(changed);
    return () => {
      this.#listeners.delete(changed);
    };
  }

  /** Leaves every process and tunnel as it is. */
  close(): void {
    for (const gateway of this.#gateways.values()) gateway.close();
  }

  async #prepare(target: Gateway): Promise<string> {
    const present = await target.files.readRequest();
    if (present !== null) return present;
    const { link, pair, number } = target.id;
    const { privateKey, requestPem } = await makeRequest(gatewayName(this.#options.site, link, pair, number));
    try {
      await target.files.writeKey(privateKey, requestPem);
    } finally {
      privateKey.wipe();
    }
    return requestPem;
  }

  async #start(
    target: Gateway,
    { link, side, slot }: GatewayRef,
    credentials: Credentials,
    roots: readonly TrustRoot[],
  ): Promise<null> {
    const description: Description = {
      side,
      peer: link[otherSide(side)],
      slot,
      digest: credentials.digest,
      certificate: credentials.certificates[side].fingerprint,
      peerCertificate: credentials.certificates[otherSide(side)].fingerprint,
    };
    const isSame = target.started?.description.digest === description.digest;
    if (isSame && (await target.isRunning())) return null;
    const settings = this.#settingsOf(link.name);
    const started = this.#startedOf(target.id, description, settings);
    const bundle = checkedBundle(roots);
    await this.#checkCertificate(target, credentials.certificates[side], bundle);
    await this.#refuseTakenPlace(target, started.place);
    const { pair, number } = target.id;
    const configuration = renderConfiguration({
      side,
      place: started.place,
      address: settings.address,
      peerName: gatewayName(description.peer, link.name, pair, number),
      peerFingerprint: description.peerCertificate,
      files: target.files.processFiles,
    });
    const certificate = new X509Certificate(credentials.certificates[side].pem).toString();
    await target.files.writeCredentials(certificate, bundle.join(""), configuration, description);
    await makeDevice(this.#options.program, started.place.device);
    await target.run(started);
    return null;
  }

  async #checkCertificate(
    target: Gateway,
    { pem, fingerprint }: { readonly pem: string; readonly fingerprint: Fingerprint },
    bundle: readonly string[],
  ): Promise<void> {
    const { link, pair, number } = target.id;
    const key = await target.files.readKey();
    if (key === null) throw new PortError("GATEWAY_KEY_MISSING", `no key for generation ${number} of pair ${pair} of ${link}`, false);
    try {
      const facts = readCertificate(pem);
      if (!facts.ok) throw refused(facts.error.message);
      if (plainFingerprint(facts.value.fingerprint) !== fingerprint) throw refused("it has another fingerprint than it should");
      const name = gatewayName(this.#options.site, link, pair, number);
      if (facts.value.name !== name) throw refused(`it is for ${facts.value.name} and not for ${name}`);
      if (!new X509Certificate(pem).checkPrivateKey(createPrivateKey(key))) throw refused("it is for another key");
      if (!isSignedByOneOf(pem, bundle)) throw refused("no trusted root signed it");
    } finally {
      key.fill(0);
    }
  }

  /** Two processes cannot have one device: the other generation is removed first. */
  async #refuseTakenPlace(target: Gateway, place: Place): Promise<void> {
    for (const other of this.#gateways.values()) {
      if (other === target || other.started?.place.device !== place.device || !(await other.isRunning())) continue;
      const message = `generation ${other.id.number} of the pair still has the device ${place.device}`;
      throw new PortError("GATEWAY_PLACE_TAKEN", message, true);
    }
  }

  async #observe(link: Link, probe: readonly GatewayRef[]): Promise<LinkObservation> {
    const observedMs = this.#options.clock.nowMs();
    const { routes } = this.#options;
    const settings = this.#settingsOf(link.name);
    const addresses = await routes.addresses();
    const mine = [...this.#gateways.values()].filter(({ id }) => id.link === link.name);
    const gateways = await Promise.all(
      mine.map(async (gateway): Promise<ObservedGateway> => {
        const wantsProbe = probe.some((one) => keyOf(idOf(one)) === keyOf(gateway.id));
        const device = gateway.started === null ? null : await routes.device(gateway.started.place.device);
        const facts = await gateway.inTurn(() => gateway.observe(wantsProbe));
        return {
          pair: gateway.id.pair,
          number: gateway.id.number,
          digest: gateway.started?.description.digest ?? null,
          process: facts.process,
          tunnel: facts.tunnel,
          interfaceName: device?.name ?? null,
          localAddress: device === null ? null : localOf(device, addresses),
          remoteAddress: facts.answer?.address ?? null,
          peer: facts.answer?.peer ?? null,
          bytesIn: device?.receivedBytes ?? 0,
          bytesOut: device?.sentBytes ?? 0,
          observedMs,
        };
      }),
    );
    const route = await new LinkRoutes(routes, settings).view(this.#hopsOf(link.name));
    return { gateways, route };
  }

  async #remove(target: Gateway): Promise<null> {
    const device = target.started?.place.device;
    await target.halt();
    if (device !== undefined) await this.#removeDevice(target, device);
    await target.files.remove();
    collectKeys();
    this.#gateways.delete(keyOf(target.id));
    return null;
  }

  /** Unless another generation has it by now. */
  async #removeDevice(target: Gateway, name: string): Promise<void> {
    const device = await this.#options.routes.device(name);
    if (device === null) return;
    for (const other of this.#gateways.values()) {
      if (other !== target && other.started?.place.device === name && (await other.isRunning())) return;
    }
    await this.#options.routes.removeDevice(device.index);
  }

  #gatewayOf(id: ListedGateway): Gateway {
    const present = this.#gateways.get(keyOf(id));
    if (present !== undefined) return present;
    const fresh = new Gateway(id, this.#filesOf(id), this.#contextOf(id.link), { started: null, process: null });
    this.#gateways.set(keyOf(id), fresh);
    return fresh;
  }

  #filesOf({ link, pair, number }: ListedGateway): GatewayFiles {
    return new GatewayFiles(this.#options.directory, link, pair, number);
  }

  #contextOf(link: LinkName): { program: string; log: Log; changed: () => void } {
    const { program, log } = this.#options;
    const changed = (): void => {
      for (const listener of this.#listeners) listener(link);
    };
    return { program, log, changed };
  }

  #startedOf(id: ListedGateway, description: Description, settings: LinkSettings): Started {
    const { link, pair, number } = id;
    const { side, slot, digest, certificate } = description;
    const identity = { link, site: this.#options.site, pair, number, digest, certificate };
    return { description, place: placeOf(settings, side, pair, slot), identity };
  }

  #settingsOf(link: LinkName): LinkSettings {
    const found = this.#options.links.find(({ name }) => name === link);
    if (found !== undefined) return found;
    throw new PortError("GATEWAY_LINK_UNKNOWN", `link ${link} is not in this site's configuration`, false);
  }

  /** Which generation a device belongs to. */
  #hopsOf(link: LinkName): ReadonlyMap<string, { readonly pair: PairIndex; readonly number: number }> {
    const hops = new Map<string, { pair: PairIndex; number: number }>();
    for (const { id, started } of this.#gateways.values()) {
      if (id.link === link && started !== null) hops.set(started.place.device, { pair: id.pair, number: id.number });
    }
    return hops;
  }
}

function idOf({ link, pair, number }: GatewayRef): ListedGateway {
  return { link: link.name, pair, number };
}

function keyOf({ link, pair, number }: ListedGateway): string {
  return `${link}/${pair}/${number}`;
}

/** Each as the platform writes it: whatever else came with it stays out of the file. */
function checkedBundle(roots: readonly TrustRoot[]): readonly string[] {
  return roots.map(({ pem, fingerprint }) => {
    let root: X509Certificate;
    try {
      root = new X509Certificate(pem);
    } catch {
      throw refused("a root is no certificate");
    }
    if (plainFingerprint(root.fingerprint256) !== fingerprint) throw refused("a root has another fingerprint than it should");
    return root.toString();
  });
}

function localOf(device: Device, addresses: readonly DeviceAddress[]): string | null {
  const own = addresses.find(({ interfaceIndex, family }) => interfaceIndex === device.index && family === "ipv4");
  return own?.local ?? null;
}

function refused(why: string): PortError {
  return new PortError("GATEWAY_CREDENTIALS_REFUSED", `the certificate is refused: ${why}`, false);
}

