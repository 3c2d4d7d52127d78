/**
 * Reading and writing keys of one cluster, below the prefix of the fleet. A listing is read in
 * pages as of the revision of the first, so that it is one state however long it takes.
 */
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import type { KvCompare, KvItem, KvOperation, KvOutcome, KvSnapshot } from "../kv.js";
import { checkKeys, checkTransaction } from "../request-bounds.js";
import {
  compareResult,
  compareTarget,
  rangeEndOf,
  rangeMethod,
  txnMethod,
  type Compare,
  type KeyValue,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
} from "./api.js";
import type { EtcdCalls } from "./calls.js";

/** Listings begun anew because their revision was compacted before the last page. */
const listingAttemptsMax = 5;

export class EtcdStore {
  readonly #calls: EtcdCalls;
  readonly #prefix: string;

  constructor(calls: EtcdCalls, prefix: string) {
    this.#calls = calls;
    this.#prefix = prefix;
  }

  async get(keys: readonly string[]): Promise<KvSnapshot> {
    checkKeys(keys);
    const success = keys.map((key): RequestOp => ({ range: { key: this.#prefix + key } }));
    const { header, responses } = await this.#calls.ask(
      txnMethod,
      { success },
      { repeat: "always" },
    );
    const found = responses.flatMap(({ range }) => range?.kvs ?? []);
    const items = found.map((kv) => this.#itemOf(kv));
    items.sort((one, other) => (one.key < other.key ? -1 : 1));
    return { revision: header.revision, items };
  }

  async range(prefix: string, limit?: number): Promise<KvSnapshot> {
    checkKeys([prefix]);
    for (let attempt = 0; attempt < listingAttemptsMax; attempt++) {
      const snapshot = await this.#list(this.#prefix + prefix, limit ?? Infinity);
      if (snapshot !== null) return snapshot;
    }
    const message = "the registry is compacted faster than it can be listed";
    throw new PortError("REGISTRY_BUSY", message, true);
  }

  async transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    checkTransaction(compares, operations);
    const request = {
      compare: compares.map((compare) => compareOf(compare, this.#prefix)),
      success: operations.map((operation) => operationOf(operation, this.#prefix)),
    };
    const answer = await this.#calls.ask(txnMethod, request, { repeat: "unsent" });
    if (!answer.succeeded) return { kind: "conflict" };
    return { kind: "committed", revision: answer.header.revision };
  }

  /** Null when its revision was compacted meanwhile. */
  async #list(prefix: string, limit: number): Promise<KvSnapshot | null> {
    const rangeEnd = rangeEndOf(prefix);
    const items: KvItem[] = [];
    let revision: number | null = null;
    let key = prefix;
    while (true) {
      const pageItems = Math.min(limits.etcdPageItemsMax, limit - items.length);
      const page = { key, rangeEnd, limit: pageItems };
      const answer = await this.#page(revision === null ? page : { ...page, revision });
      if (answer === "compacted") return null;
      revision ??= answer.header.revision;
      for (const kv of answer.kvs) items.push(this.#itemOf(kv));
      const last = answer.kvs.at(-1);
      if (!answer.more || last === undefined || items.length >= limit) return { revision, items };
      key = `${last.key}\0`;
    }
  }

  #page(request: RangeRequest): Promise<RangeResponse | "compacted"> {
    const withinMs = limits.registryListingMsMax;
    return this.#calls.askOrCompacted(rangeMethod, request, { repeat: "always", withinMs });
  }

  #itemOf({ key, value, modRevision }: KeyValue): KvItem {
    return { key: key.slice(this.#prefix.length), value, revision: modRevision };
  }
}

function compareOf(compare: KvCompare, prefix: string): Compare {
  const key = prefix + compare.key;
  if (compare.kind === "present") {
    return {
      result: compareResult.greater,
      target: compareTarget.create,
      key,
      createRevision: 0,
    };
  }
  const { revision } = compare;
  return { result: compareResult.equal, target: compareTarget.mod, key, modRevision: revision };
}

function operationOf(operation: KvOperation, prefix: string): RequestOp {
  const key = prefix + operation.key;
  if (operation.kind === "delete") return { deleteRange: { key } };
  return { put: { key, value: operation.value } };
}
