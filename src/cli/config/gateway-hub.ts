/**
 * The configuration of a gateway hub: which links there are, when they rotate, how long certificates live. The annotated example is
 * examples/gateway-hub.yaml.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { checkLink, type Link, type SiteName } from "../../core/gateway/link.js";
import type { HubOptions } from "../../core/gateway/hub/state.js";
import { limits } from "../../core/limits.js";
import { formatDuration } from "../duration.js";
import { durationField, pathField, shareField } from "./fields.js";
import { linkNameField, siteNameField } from "./gateway-fields.js";
import { checkControllerRegistry, controllerRegistrySection, toControllerRegistry, type ControllerRegistryConfig } from "./registry.js";
import { logSection, type LogConfig, type Remark } from "./sections.js";

export interface HubConfig {
  readonly name: SiteName;
  readonly stateDir: string;
  readonly registry: ControllerRegistryConfig;
  /** Null: the registry alone says which there are. */
  readonly links: readonly Link[] | null;
  readonly rotation: HubOptions;
  readonly certificates: { readonly leafMs: number; readonly rootMs: number };
  readonly log: LogConfig;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Certificates live longer than anything else that a file sets. */
const yearsMs = 10 * 365 * dayMs;
const longField = (min: number): ReturnType<typeof durationField> => durationField({ min, max: yearsMs });

export const hubSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: siteNameField,
  stateDir: pathField,
  registry: controllerRegistrySection,
  links: z
    .array(
      z.strictObject({
        name: linkNameField,
        server: siteNameField,
        client: siteNameField,
        pairs: z.int().min(1).max(limits.gatewayPairsMax).default(2),
      }),
    )
    .min(1)
    .describe("a list of links, each with name, server, client and pairs")
    .optional(),
  rotation: z
    .strictObject({
      interval: longField(1_000).default(dayMs),
      jitter: longField(0).default(hourMs),
      linksAtOnce: z.int().min(1).max(1_000).default(4),
      canaryShare: shareField.default(0.1),
      hold: longField(0).default(dayMs),
    })
    .prefault({}),
  certificates: z
    .strictObject({
      lifetime: longField(60_000).default(7 * dayMs),
      rootLifetime: longField(120_000).default(365 * dayMs),
    })
    .prefault({}),
  log: logSection,
});

export type HubFields = z.output<typeof hubSchema>;

export function checkHub(fields: HubFields, folder: string): readonly Remark[] {
  return [
    ...checkControllerRegistry(fields.registry, folder),
    ...(fields.links ?? []).flatMap((link, index, all) => checkHubLink(link, index, all)),
    ...checkLifetimes(fields),
  ];
}

function checkHubLink(link: Link, index: number, all: readonly Link[]): readonly Remark[] {
  const path = ["links", index];
  const checked = checkLink(link);
  if (!checked.ok) return [{ path, message: `is refused: ${checked.error}` }];
  const isSecond = all.findIndex(({ name }) => name === link.name) < index;
  return isSecond ? [{ path: [...path, "name"], message: "is the name of an earlier link, too" }] : [];
}

/**
 * A link is due by itself at half of its certificates' life, past canaries and hold: the round must come first. From a link's turn in
 * one round to that in the next it is an interval, at most; jitter of either round; and a hold that the next one begins with. A root
 * lives twice as long as its leafs, since a new root begins at half its life.
 */
function checkLifetimes({ rotation, certificates }: HubFields): readonly Remark[] {
  const longest = rotation.interval + 2 * rotation.jitter + rotation.hold;
  const remarks: Remark[] = [];
  if (certificates.lifetime / 2 <= longest) {
    const sum = `${formatDuration(2 * longest)}, twice the sum of rotation.interval, two jitters and hold`;
    const why = "at half of it each link is renewed by itself, past canaries and hold";
    remarks.push({ path: ["certificates", "lifetime"], message: `must be longer than ${sum}: ${why}` });
  }
  if (certificates.rootLifetime < 2 * certificates.lifetime) {
    const twice = formatDuration(2 * certificates.lifetime);
    remarks.push({ path: ["certificates", "rootLifetime"], message: `must be at least twice certificates.lifetime (${twice})` });
  }
  return remarks;
}

export function toHubConfig(fields: HubFields, folder: string): HubConfig {
  const { rotation, certificates } = fields;
  const stateDir = resolve(folder, fields.stateDir);
  return {
    name: fields.name,
    stateDir,
    registry: toControllerRegistry(fields.registry, folder, stateDir),
    links: fields.links ?? null,
    rotation: {
      intervalMs: rotation.interval,
      jitterMs: rotation.jitter,
      // Half of the validity gone: whatever the round, it is time.
      renewBeforeMs: certificates.lifetime / 2,
      linksAtOnceMax: rotation.linksAtOnce,
      canaryShare: rotation.canaryShare,
      holdMs: rotation.hold,
      silentMs: limits.gatewaySilentMs,
    },
    certificates: { leafMs: certificates.lifetime, rootMs: certificates.rootLifetime },
    log: fields.log,
  };
}
