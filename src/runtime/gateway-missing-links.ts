/**
 * Which links of a site are no longer wanted when a complete listing of the registry lacks them.
 * Invariant: a listing that is empty or wrong takes no site's tunnels down. The hub marks a link as detached before it takes it out, so
 * only a site that was away has a link missing that was not marked; that is believed of few links, never of most nor of all.
 */
import type { LinkName } from "../core/gateway/link.js";
import type { LinkRecord } from "../core/gateway/record.js";
import { limits } from "../core/limits.js";

export interface MissingLinks {
  readonly gone: readonly LinkName[];
  /** Left as they are until a listing has them again, or lacks fewer. */
  readonly held: readonly LinkName[];
}

/**
 * @param newest the links that the site knows, with those that are gone as detached
 * @param listed names in the listing, also those that cannot be read
 */
export function findMissingLinks(newest: ReadonlyMap<LinkName, LinkRecord>, listed: ReadonlySet<string>): MissingLinks {
  const missing = [...newest.keys()].filter((name) => !listed.has(name));
  const isMarked = (name: LinkName): boolean => newest.get(name)?.detached === true;
  const unmarked = missing.filter((name) => !isMarked(name));
  const known = [...newest.keys()].filter((name) => !isMarked(name)).length;
  const isMass = unmarked.length === known || unmarked.length > Math.max(1, Math.floor(known * limits.massDeletionShareDefault));
  return isMass ? { gone: missing.filter(isMarked), held: unmarked } : { gone: missing, held: [] };
}
