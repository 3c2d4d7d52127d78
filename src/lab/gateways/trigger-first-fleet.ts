/**
 * The field's order, for `--behaviour trigger-first`: each rotation makes a new root and new credentials for both ends, puts them in
 * place, and lets the ends replace their one gateway when they find them (trigger-first.ts).
 */
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../core/assert.js";
import { otherSide, parseFingerprint, sides, type PairIndex, type Side } from "../../core/gateway/link.js";
import { renderConfiguration } from "../../adapters/openvpn/configuration.js";
import { placeOf } from "../../adapters/openvpn/place.js";
import { Authority, createAuthority } from "../../adapters/pki/authority.js";
import { readCertificate } from "../../adapters/pki/certificate.js";
import { gatewayName } from "../../adapters/pki/gateway-name.js";
import { parseCommonName } from "../../adapters/pki/common-name.js";
import { writeKeyFile } from "../../adapters/pki/key-file.js";
import { makeRequest } from "../../adapters/pki/request.js";
import { plainFingerprint } from "../../adapters/pki/root-store.js";
import type { FleetPlace, GatewayFleet } from "./gateway-fleet.js";
import { readOpenvpnVersion } from "./spindle-fleet.js";
import type { TriggerFirstSettings } from "./trigger-first.js";

const hourMs = 3_600_000;
const pair = 0 as PairIndex;

export class TriggerFirstFleet implements GatewayFleet {
  readonly #place: FleetPlace;
  #generation = 0;
  openvpnVersion = "";

  constructor(place: FleetPlace) {
    this.#place = place;
  }

  async start(): Promise<void> {
    this.openvpnVersion = await readOpenvpnVersion();
    await this.rotate();
    const { directory, world, start } = this.#place;
    for (const side of sides) {
      const { name, settings } = world[side];
      const own: TriggerFirstSettings = { side, site: name, link: settings, directory };
      start(`site-${name}-program`, ["trigger-first", JSON.stringify(own)], world[side]);
    }
  }

  get isReady(): boolean {
    return this.outcome !== null;
  }

  async rotate(): Promise<void> {
    const generation = this.#generation + 1;
    await this.#makeCredentials(generation);
    await writeFile(join(this.#place.directory, "generation"), String(generation));
    this.#generation = generation;
  }

  get outcome(): string | null {
    return sides.every((side) => this.#doneOf(side) === this.#generation) ? "done" : null;
  }

  get phase(): string {
    return `generation ${this.#generation}: ${sides.map((side) => `${side} at ${this.#doneOf(side)}`).join(", ")}`;
  }

  close(): void {
    // Its programs end with the lab.
  }

  #doneOf(side: Side): number {
    try {
      return Number(readFileSync(join(this.#place.directory, `done-${side}`), "utf8"));
    } catch {
      return 0;
    }
  }

  async #makeCredentials(generation: number): Promise<void> {
    const { link } = this.#place.world;
    const now = new Date();
    const rootName = parseCommonName(`field-root-${generation}`);
    assert(rootName.ok, "a word and a number are a name");
    const root = await createAuthority(rootName.value, now, 2 * hourMs);
    const der = createPrivateKey(root.privateKey.reveal()).export({ format: "der", type: "pkcs8" });
    root.privateKey.wipe();
    const authority = await Authority.open(root.certificatePem, der);
    const made = new Map<Side, string>();
    for (const side of sides) {
      const name = gatewayName(link[side], link.name, pair, generation);
      const { privateKey, requestPem } = await makeRequest(name);
      const issued = await authority.issue({ name, role: side, requestPem, now, lifetimeMs: hourMs });
      assert(issued.ok, "our own request is in order");
      const folder = this.#folder(generation, side);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeKeyFile(join(folder, "key.pem"), privateKey);
      await writeFile(join(folder, "certificate.pem"), issued.value);
      await writeFile(join(folder, "roots.pem"), root.certificatePem);
      made.set(side, issued.value);
    }
    for (const side of sides) await this.#writeConfiguration(generation, side, made.get(otherSide(side))!);
  }

  async #writeConfiguration(generation: number, side: Side, peerPem: string): Promise<void> {
    const { link, [side]: site } = this.#place.world;
    const folder = this.#folder(generation, side);
    const peer = readCertificate(peerPem);
    assert(peer.ok, "what was just issued can be read");
    const fingerprint = parseFingerprint(plainFingerprint(peer.value.fingerprint));
    assert(fingerprint.ok, "the platform's fingerprint is 32 bytes");
    const text = renderConfiguration({
      side,
      place: placeOf(site.settings, side, pair, 0),
      address: site.settings.address,
      peerName: gatewayName(link[otherSide(side)], link.name, pair, generation),
      peerFingerprint: fingerprint.value,
      files: {
        certificate: join(folder, "certificate.pem"),
        key: join(folder, "key.pem"),
        roots: join(folder, "roots.pem"),
        managementSocket: join(folder, "m"),
      },
    });
    await writeFile(join(folder, "openvpn.conf"), text);
  }

  #folder(generation: number, side: Side): string {
    return join(this.#place.directory, `g${generation}`, side);
  }
}
