/**
 * The configuration of a gateway site: its links, where they listen or dial, and what is behind them. The annotated example is
 * examples/gateway-site.yaml.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { isUsablePath } from "../../adapters/openvpn/configuration.js";
import { devicePrefix, placesMax, type LinkSettings } from "../../adapters/openvpn/place.js";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import type { SiteName } from "../../core/gateway/link.js";
import { limits } from "../../core/limits.js";
import { durationField, hostField, ipv4Field, pathField } from "./fields.js";
import { doOverlap, ipv4NetworkField, linkNameField, numberOf, rangeOf, siteNameField } from "./gateway-fields.js";
import { agentRegistrySection, checkAgentRegistry, toAgentTarget } from "./registry.js";
import { checkSocket, logSection, type LogConfig, type Remark } from "./sections.js";

export interface SiteConfig {
  readonly site: SiteName;
  readonly stateDir: string;
  readonly registry: RegistryTarget;
  /** Path of the program. */
  readonly openvpn: string;
  readonly links: readonly LinkSettings[];
  readonly drain: { readonly idleMs: number; readonly maxMs: number };
  readonly log: LogConfig;
}

/** So many ports from `firstPort` on, and twice as many addresses. */
const portMax = 65_536 - placesMax;

const linkSchema = z.strictObject({
  name: linkNameField,
  address: hostField,
  firstPort: z.int().min(1).max(portMax),
  tunnelNetwork: ipv4Field,
  remoteNetworks: z.array(ipv4NetworkField).min(1).max(64),
  preferredSource: ipv4Field.optional(),
});

export const siteSchema = z.strictObject({
  schemaVersion: z.literal(1),
  site: siteNameField,
  stateDir: pathField,
  registry: agentRegistrySection,
  openvpn: pathField.default("/usr/sbin/openvpn"),
  links: z
    .array(linkSchema)
    .min(1)
    .describe("a list of links, each with name, address, firstPort, tunnelNetwork and remoteNetworks"),
  drain: z
    .strictObject({
      idle: durationField({ min: 100 }).default(limits.gatewayDrainMsDefault),
      max: durationField({ min: 100, max: limits.gatewayDrainMsMax }).default(limits.gatewayDrainMsMax),
    })
    .prefault({}),
  log: logSection,
});

export type SiteFields = z.output<typeof siteSchema>;
type LinkFields = SiteFields["links"][number];

export function checkSite(fields: SiteFields, folder: string): readonly Remark[] {
  return [
    ...checkAgentRegistry(fields.registry, folder),
    ...checkStateDir(fields, folder),
    ...fields.links.flatMap((link, index) => checkSiteLink(link, index, fields.links)),
    ...(fields.drain.idle < fields.drain.max ? [] : [{ path: ["drain", "idle"], message: "must be shorter than drain.max" }]),
  ];
}

/** OpenVPN's configuration names files below it, and a management socket lies there. */
function checkStateDir({ stateDir, links }: SiteFields, folder: string): readonly Remark[] {
  const full = resolve(folder, stateDir);
  const path = ["stateDir"];
  if (!isUsablePath(full)) return [{ path, message: "may have letters, digits and ._/@+=:,- as a full path: OpenVPN is given it" }];
  const longest = links.reduce((max, { name }) => (name.length > max.length ? name : max), "");
  return checkSocket(join(tunnelDirectory(full), longest, "p15.g999999999", "m"), path, folder);
}

/** Where the gateways of a site are kept, below its state directory. */
export function tunnelDirectory(stateDir: string): string {
  return join(stateDir, "t");
}

function checkSiteLink(link: LinkFields, index: number, all: readonly LinkFields[]): readonly Remark[] {
  const earlier = all.slice(0, index);
  const remark = (field: string, message: string): Remark => ({ path: ["links", index, field], message });
  const remarks: Remark[] = [];
  if (earlier.some(({ name }) => name === link.name)) remarks.push(remark("name", "is the name of an earlier link, too"));
  else if (earlier.some(({ name }) => devicePrefix(name) === devicePrefix(link.name)))
    remarks.push(remark("name", "makes the same device names as an earlier link: take another"));
  if (numberOf(link.tunnelNetwork) % (2 * placesMax) !== 0)
    remarks.push(remark("tunnelNetwork", `must be the first address of ${2 * placesMax}: the last number a multiple of ${2 * placesMax}`));
  if (earlier.some((one) => doOverlap(tunnelRange(one), tunnelRange(link))))
    remarks.push(remark("tunnelNetwork", "overlaps that of an earlier link"));
  if (earlier.some((one) => one.address === link.address && doOverlap(portRange(one), portRange(link))))
    remarks.push(remark("firstPort", `is within ${placesMax} ports of an earlier link with the same address`));
  const networks = earlier.flatMap(({ remoteNetworks }) => remoteNetworks);
  if (link.remoteNetworks.some((network) => networks.some((one) => doOverlap(rangeOf(one), rangeOf(network)))))
    remarks.push(remark("remoteNetworks", "overlap those of an earlier link"));
  const ranges = link.remoteNetworks.map(rangeOf);
  if (ranges.some((range, at) => ranges.slice(0, at).some((one) => doOverlap(one, range))))
    remarks.push(remark("remoteNetworks", "overlap each other: leave the smaller one out"));
  return remarks;
}

function tunnelRange({ tunnelNetwork }: LinkFields): readonly [number, number] {
  const first = numberOf(tunnelNetwork);
  return [first, first + 2 * placesMax - 1];
}

function portRange({ firstPort }: LinkFields): readonly [number, number] {
  return [firstPort, firstPort + placesMax - 1];
}

export function toSiteConfig(fields: SiteFields, folder: string): SiteConfig {
  const { drain } = fields;
  return {
    site: fields.site,
    stateDir: resolve(folder, fields.stateDir),
    registry: toAgentTarget(fields.registry, folder),
    openvpn: resolve(folder, fields.openvpn),
    links: fields.links.map(({ preferredSource = null, ...link }) => ({ ...link, preferredSource })),
    drain: { idleMs: drain.idle, maxMs: drain.max },
    log: fields.log,
  };
}
