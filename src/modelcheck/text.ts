/**
 * States as text: two states are the same when their texts are equal. Lists that stand for sets are sorted, maps too.
 * With a renaming, the text is that of the state in which the nodes have changed places: equal texts under some renaming
 * mean that only the names differ.
 */
import { PersistentMap } from "../core/persistent-map.js";
import { makeSpi, splitSpi, type NodeIndex, type Spi } from "../core/spi.js";

/** Where each position goes: node i is called as node `renaming[i]` is. */
export type Renaming = readonly number[];

/** Fields whose lists have no order. */
const unordered = new Set(["sas", "policies", "items", "excluded", "sent", "lost", "stopped", "usable", "silent"]);

const names = "abc";
const incarnationPattern = /^[abc]#\d+$/;
const addressPattern = /^10\.0\.0\.\d$/;

type Replacer = (key: string, value: unknown) => unknown;

export function textOf(value: unknown, renaming: Renaming | null = null): string {
  return JSON.stringify(value, replacerOf(renaming));
}

function replacerOf(renaming: Renaming | null): Replacer {
  const replacer: Replacer = (key, value) => {
    if (typeof value === "string") return renaming === null ? value : renamed(value, renaming);
    if (typeof value === "number") return renaming === null ? value : renumbered(key, value, renaming);
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return unordered.has(key) ? sortedTexts(value, replacer) : value;
    if (value instanceof Map || value instanceof PersistentMap) return sortedObject(value as Entries, renaming);
    if (value instanceof Set) return sortedTexts([...(value as Set<unknown>)], replacer);
    return value;
  };
  return replacer;
}

type Entries = Iterable<readonly [string, unknown]>;

function sortedTexts(items: readonly unknown[], replacer: Replacer): readonly string[] {
  return items.map((item) => JSON.stringify(item, replacer)).sort();
}

function sortedObject(map: Entries, renaming: Renaming | null): Record<string, unknown> {
  const entries = [...map].map(([key, value]) => [renaming === null ? key : renamed(key, renaming), value] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

function renamed(text: string, renaming: Renaming): string {
  if (text.length === 1 && names.includes(text)) return nameAt(text, renaming);
  if (incarnationPattern.test(text)) return nameAt(text.charAt(0), renaming) + text.slice(1);
  if (!addressPattern.test(text)) return text;
  const position = Number(text.slice(7)) - 1;
  return `10.0.0.${(renaming[position] ?? position) + 1}`;
}

function nameAt(name: string, renaming: Renaming): string {
  const position = names.indexOf(name);
  return names.charAt(renaming[position] ?? position);
}

function renumbered(key: string, value: number, renaming: Renaming): number {
  if (key === "index" || key === "selfIndex") return renamedIndex(value, renaming);
  if (key !== "spi") return value;
  const parts = splitSpi(value as Spi);
  return makeSpi({ ...parts, index: renamedIndex(parts.index, renaming) as NodeIndex });
}

function renamedIndex(index: number, renaming: Renaming): number {
  return (renaming[index - 1] ?? index - 1) + 1;
}
