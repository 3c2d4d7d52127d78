/** The document of a site's state directory: the link records that it acts on, so that it goes on without a registry. */
import type { LinkName } from "../core/gateway/link.js";
import { earlierRecord, type LinkRecord } from "../core/gateway/record.js";
import { fail, succeed, type Result } from "../core/result.js";

export const linksDocument = "gateway-links.json";

interface LinksDocument {
  readonly schemaVersion: 1;
  readonly links: readonly LinkRecord[];
}

export function formatLinks(links: ReadonlyMap<LinkName, LinkRecord>): string {
  const document: LinksDocument = { schemaVersion: 1, links: [...links.values()] };
  return JSON.stringify(document);
}

/** @param text null when there is no document yet */
export function parseLinks(text: string | null): Result<readonly LinkRecord[], string> {
  if (text === null) return succeed([]);
  const document = JSON.parse(text) as { readonly schemaVersion: number } | LinksDocument;
  if (document.schemaVersion !== 1 || !("links" in document)) {
    return fail(`${linksDocument} has version ${document.schemaVersion}; this program reads version 1`);
  }
  return succeed(document.links.map((record) => ({ ...earlierRecord, ...record })));
}
