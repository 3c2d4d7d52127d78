/**
 * Requests under way at a client. Invariant: each is answered exactly once: by the server, by its
 * deadline, by a lost connection if it was sent, or by the end of the client.
 */
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import type { KvItem } from "../kv.js";
import type { Link } from "./link.js";
import type { ClientMessage, ServerMessage } from "./protocol.js";

type Request = Exclude<ClientMessage, { readonly kind: "hello" | "watch" | "unwatch" }>;
type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
export type RequestBody = WithoutId<Request>;

export interface Answer {
  readonly value: unknown;
  readonly items: readonly KvItem[];
}

interface Pending {
  readonly request: Request;
  readonly withinMs: number;
  readonly items: KvItem[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: PortError) => void;
  isSent: boolean;
  timer: NodeJS.Timeout;
}

export class Requests {
  readonly #link: Link;
  readonly #newId: () => number;
  readonly #address: string;
  readonly #pending = new Map<number, Pending>();
  #isClosed = false;

  constructor(link: Link, newId: () => number, address: string) {
    this.#link = link;
    this.#newId = newId;
    this.#address = address;
  }

  /** @throws PortError of the server, REGISTRY_UNREACHABLE, REGISTRY_BUSY or REGISTRY_CLOSED */
  ask(body: RequestBody, withinMs: number): Promise<Answer> {
    if (this.#isClosed) return Promise.reject(closedError());
    if (this.#pending.size >= limits.registryPendingRequestsMax) {
      return Promise.reject(new PortError("REGISTRY_BUSY", "too many requests under way", true));
    }
    return new Promise((resolve, reject) => {
      const id = this.#newId();
      const request: Request = { ...body, id };
      const timer = this.#arm(id, withinMs);
      const pending = { request, withinMs, items: [], resolve, reject, isSent: false, timer };
      this.#pending.set(id, pending);
      if (this.#link.isUp) this.#send(pending);
    });
  }

  up(): void {
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  down(reason: string): void {
    for (const [id, { isSent }] of this.#pending) if (isSent) this.#fail(id, this.#lost(reason));
  }

  close(): void {
    this.#isClosed = true;
    for (const id of this.#pending.keys()) this.#fail(id, closedError());
  }

  accept(message: ServerMessage): void {
    if (message.kind === "part") this.#addItems(message.id, message.items);
    if (message.kind === "answer") this.#succeed(message.id, message.value);
    if (message.kind !== "error") return;
    const { id, code, message: text, retryable } = message;
    this.#fail(id, new PortError(code, text, retryable));
  }

  #send(pending: Pending): void {
    pending.isSent = true;
    this.#link.send(pending.request);
  }

  /** A part shows that the answer is on its way: the deadline starts again. */
  #addItems(id: number, items: readonly KvItem[]): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    for (const item of items) pending.items.push(item);
    clearTimeout(pending.timer);
    pending.timer = this.#arm(id, pending.withinMs);
  }

  #succeed(id: number, value: unknown): void {
    const pending = this.#take(id);
    pending?.resolve({ value, items: pending.items });
  }

  #fail(id: number, cause: PortError): void {
    this.#take(id)?.reject(cause);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending !== undefined) clearTimeout(pending.timer);
    return pending;
  }

  #arm(id: number, withinMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      const reason = this.#link.isUp ? `no answer in ${withinMs} ms` : this.#link.lastFault;
      this.#fail(id, this.#lost(reason));
    }, withinMs);
  }

  #lost(reason: string): PortError {
    const message = `the registry at ${this.#address} cannot be reached: ${reason}`;
    return new PortError("REGISTRY_UNREACHABLE", message, true);
  }
}

function closedError(): PortError {
  return new PortError("REGISTRY_CLOSED", "the registry was closed", false);
}
