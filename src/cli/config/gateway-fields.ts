/** Fields that the files of hub and site share. */
import { isIPv4 } from "node:net";
import { z } from "zod";
import { parseLinkName, parseSiteName } from "../../core/gateway/link.js";
import type { Prefix } from "../../adapters/netlink/route/model.js";
import type { Result } from "../../core/result.js";

export const linkNameField = named(parseLinkName, "a link's name of lower case letters, digits and -");
export const siteNameField = named(parseSiteName, "a name of lower case letters, digits and -");

export const ipv4NetworkField = z
  .string()
  .transform((text, context): Prefix => {
    const [, address = "", bits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
    const length = Number(bits);
    if (isIPv4(address) && length >= 1 && length <= 32 && isNetwork(address, length)) return { family: "ipv4", address, length };
    context.issues.push({ code: "custom", message: `must be ${networkWords}`, input: text });
    return z.NEVER;
  })
  .describe("an IPv4 network such as 10.20.0.0/16, without bits of a host");

const networkWords = "an IPv4 network such as 10.20.0.0/16, without bits of a host";

/** First and last address as numbers. */
export function rangeOf({ address, length }: Prefix): readonly [number, number] {
  const first = numberOf(address);
  return [first, first + 2 ** (32 - length) - 1];
}

export function doOverlap(one: readonly [number, number], other: readonly [number, number]): boolean {
  return one[0] <= other[1] && other[0] <= one[1];
}

export function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function isNetwork(address: string, length: number): boolean {
  return numberOf(address) % 2 ** (32 - length) === 0;
}

function named<T>(parse: (text: string) => Result<T, string>, words: string) {
  return z
    .string()
    .transform((text, context): T => {
      const parsed = parse(text);
      if (parsed.ok) return parsed.value;
      context.issues.push({ code: "custom", message: parsed.error, input: text });
      return z.NEVER;
    })
    .describe(words);
}
