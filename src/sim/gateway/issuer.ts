/** The hub's issuer in virtual time: takes its time, and counts what it issued when. */
import type { Digest, Fingerprint, Side } from "../../core/gateway/link.js";
import type { Credentials, Issued, IssueOrder, TrustRoot } from "../../core/gateway/record.js";
import type { Prng } from "../../core/prng.js";
import { fail, succeed } from "../../core/result.js";
import type { IssuerPort } from "../../ports/issuer.js";
import type { VirtualTime } from "../engine/virtual-time.js";

export interface IssuerOptions {
  readonly issueMs: number;
  readonly validityMs: number;
  /** A new root takes the place of the present one so often; the certificates of both are accepted meanwhile. */
  readonly rootMs: number;
}

export class SimIssuer {
  readonly #time: VirtualTime;
  readonly #prng: Prng;
  readonly #options: IssuerOptions;
  readonly #wallMs: () => number;
  /** Virtual time of each order that was issued. */
  readonly issuedAtMs: number[] = [];
  readonly ordered: IssueOrder[] = [];
  /** Set by a script: orders fail with this code. */
  failsWith: string | null = null;
  kept: readonly Fingerprint[] | null = null;

  constructor(time: VirtualTime, prng: Prng, options: IssuerOptions, wallMs: () => number) {
    this.#time = time;
    this.#prng = prng;
    this.#options = options;
    this.#wallMs = wallMs;
  }

  port(isAlive: () => boolean): IssuerPort {
    return {
      issue: (order, done) => {
        this.ordered.push(order);
        this.#time.post(this.#time.nowMs + this.#options.issueMs, () => {
          if (!isAlive()) return;
          if (this.failsWith !== null) return done(fail({ code: this.failsWith, message: "as scripted", retryable: true }));
          this.issuedAtMs.push(this.#time.nowMs);
          done(succeed(this.#issue(order)));
        });
      },
      keepRoots: (used, done) => {
        this.kept = used;
        this.#time.post(this.#time.nowMs, () => {
          if (isAlive()) done(succeed(null));
        });
      },
    };
  }

  #issue({ number, slot }: IssueOrder): Issued {
    const root = this.#presentRoot();
    const certificate = (): Credentials["certificates"][Side] => {
      return { pem: "certificate", fingerprint: this.#hex() as Fingerprint, notAfterWallMs: this.#wallMs() + this.#options.validityMs };
    };
    const certificates = { server: certificate(), client: certificate() };
    return { credentials: { number, digest: this.#hex() as Digest, slot, certificates, root: root.fingerprint }, root };
  }

  #presentRoot(): TrustRoot {
    const turn = Math.floor(this.#time.nowMs / this.#options.rootMs);
    return { fingerprint: turn.toString(16).padStart(64, "0") as Fingerprint, pem: `root ${turn}` };
  }

  #hex(): string {
    return Array.from({ length: 8 }, () => this.#prng.next().toString(16).padStart(8, "0")).join("");
  }
}
