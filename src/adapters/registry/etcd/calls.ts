/**
 * Requests that have one answer. Each attempt has a deadline; what may be asked again is, at the
 * next member, until the time of the whole request is over. A write whose outcome is unknown is
 * not repeated here: its caller decides (kv.ts).
 */
import { setMaxListeners } from "node:events";
import type { Client } from "@grpc/grpc-js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs, pause } from "../backoff.js";
import { authenticateMethod, type Method } from "./api.js";
import { closedError, faultOf, toPortError, type Fault } from "./faults.js";
import { EtcdLink } from "./link.js";
import { LoginToken } from "./login.js";
import type { EtcdOptions } from "./options.js";
import { metadataWith, sendUnary, type Sent, type Sender } from "./send.js";

export interface CallOptions {
  /** `unsent`: only when it certainly did nothing. */
  readonly repeat: "always" | "unsent";
  readonly withinMs?: number;
  /** Another way to send than as a unary call. */
  readonly send?: Sender;
  /** It is still delivered when the registry is closed meanwhile. */
  readonly lingers?: boolean;
}

/** Tokens of one request that a member did not know, as one does that started again meanwhile. */
const tokensMax = 3;
/** How long a closed registry waits for calls that linger. */
const lingerMs = 500;

export class EtcdCalls {
  readonly link: EtcdLink;
  readonly #login: LoginToken;
  readonly #closing = new AbortController();
  readonly #pending = new Map<Sent<unknown>, { readonly lingers: boolean }>();

  constructor(options: EtcdOptions) {
    this.link = new EtcdLink(options);
    this.#login = new LoginToken(options.login, (name, password) =>
      this.#authenticate(name, password),
    );
    setMaxListeners(0, this.#closing.signal);
  }

  /** @throws PortError REGISTRY_UNREACHABLE, REGISTRY_DENIED, REGISTRY_CLOSED and others of faults.ts */
  async ask<Q, A>(method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const result = await this.askOrCompacted(method, request, options);
    if (result !== "compacted") return result;
    throw toPortError({ kind: "compacted", message: "history is gone", isUnsent: true }, this.link.at);
  }

  /** As `ask`; `compacted` for history that is gone or has not been. */
  async askOrCompacted<Q, A>(
    method: Method<Q, A>,
    request: Q,
    options: CallOptions,
  ): Promise<A | "compacted"> {
    const untilMs = systemClock.nowMs() + (options.withinMs ?? limits.registryRequestMsMax);
    for (let attempt = 0, tokens = 0; ; attempt++) {
      const outcome = await this.#attempt(method, request, options, untilMs);
      if (outcome.kind === "answer") return outcome.answer;
      const { fault } = outcome;
      if (fault.kind === "compacted") return "compacted";
      const mayRepeat = options.repeat === "always" || fault.isUnsent;
      if (fault.kind === "token") tokens += 1;
      const helps = this.#mayHelp(fault, attempt, tokens);
      const leftMs = untilMs - systemClock.nowMs();
      if (!mayRepeat || !helps || leftMs <= 0) throw toPortError(fault, this.link.at);
      const { registryReconnectMsMin, registryReconnectMsMax } = limits;
      const waitMs = backoffMs(attempt, registryReconnectMsMin, registryReconnectMsMax);
      await pause(Math.min(waitMs, leftMs), this.#closing.signal);
    }
  }

  /** For a stream; null without a user. @throws PortError as `ask` does */
  async token(): Promise<string | null> {
    try {
      return await this.#login.get();
    } catch (cause) {
      throw cause instanceof PortError ? cause : toPortError(faultOf(cause), this.link.at);
    }
  }

  /** A member did not know the token: the next request asks for another. */
  forgetToken(): void {
    this.#login.forget();
  }

  /** What was asked and does not linger fails with REGISTRY_CLOSED. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const lingering = [...this.#pending].filter(([, { lingers }]) => lingers);
    for (const [sent, { lingers }] of this.#pending) if (!lingers) sent.cancel();
    const ended = Promise.allSettled(lingering.map(([sent]) => sent.answer));
    const timer = setTimeout(() => this.link.close(), lingerMs);
    void ended.then(() => {
      clearTimeout(timer);
      this.link.close();
    });
  }

  async #attempt<Q, A>(
    method: Method<Q, A>,
    request: Q,
    options: CallOptions,
    untilMs: number,
  ): Promise<
    | { readonly kind: "answer"; readonly answer: A }
    | { readonly kind: "fault"; readonly fault: Fault }
  > {
    if (this.#closing.signal.aborted) throw closedError();
    const withinMs = Math.min(limits.etcdAttemptMsMax, Math.max(untilMs - systemClock.nowMs(), 1));
    const send = options.send ?? sendUnary;
    try {
      const token = await this.#login.get();
      const answer = await this.#send(options.lingers === true, (client) =>
        send(client, method, request, metadataWith(token), withinMs),
      );
      return { kind: "answer", answer };
    } catch (cause) {
      const fault = faultOf(cause);
      if (fault.kind === "token") this.#login.forget();
      return { kind: "fault", fault };
    }
  }

  /** One try at the member in use, which is left when it fails. Rejects as `Sent` does. */
  async #send<A>(lingers: boolean, start: (client: Client) => Sent<A>): Promise<A> {
    const client = this.link.client();
    try {
      return await this.#track(start(client), lingers);
    } catch (cause) {
      const { kind } = faultOf(cause);
      if (kind === "away" || kind === "untrusted") this.link.leave(client);
      throw cause;
    }
  }

  #mayHelp({ kind }: Fault, attempt: number, tokens: number): boolean {
    if (kind === "untrusted") return attempt + 1 < this.link.size;
    return kind === "away" || (kind === "token" && tokens < tokensMax);
  }

  async #track<A>(sent: Sent<A>, lingers: boolean): Promise<A> {
    this.#pending.set(sent, { lingers });
    try {
      return await sent.answer;
    } finally {
      this.#pending.delete(sent);
    }
  }

  #authenticate(name: string, password: string): Promise<string> {
    const request = { name, password };
    const withinMs = limits.etcdAttemptMsMax;
    return this.#send(false, (client) =>
      sendUnary(client, authenticateMethod, request, metadataWith(null), withinMs),
    ).then(({ token }) => token);
  }
}
