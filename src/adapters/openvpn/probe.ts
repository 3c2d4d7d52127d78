/**
 * One end of the probes of one tunnel: answers the peer's and sends its own, from the tunnel's local address to the peer's.
 * What an answer proves: a packet of that size went through this very tunnel and another came back, since the kernel's route to the
 * peer's tunnel address is the tunnel's device, and OpenVPN carries packets only for the one certificate that it expects there. So
 * the tunnel authenticates the peer; the identity in the answer is the peer's own word and catches what is mixed up: pairs, links,
 * generations. It does not prove that networks behind the peer are reached.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { limits } from "../../core/limits.js";
import { decodeAnswer, encodeAnswer, encodeQuestion, nonceBytes, probeBytesMin, type ProbeIdentity } from "./probe-packets.js";

/** IPv4 and UDP headers, 20 and 8 bytes. */
const fullBytes = limits.gatewayTunnelMtu - 28;

export interface ProbeResult {
  readonly identity: ProbeIdentity;
  /** Where the answers came from. */
  readonly address: string;
  readonly answered: number;
  readonly fullSize: boolean;
}

export class Probe {
  readonly #socket: Socket;
  readonly #remoteAddress: string;
  readonly #identity: ProbeIdentity;
  readonly #pending = new Map<string, (identity: ProbeIdentity, sizeBytes: number) => void>();

  /** @throws the system's error, EADDRNOTAVAIL while the device has not its address */
  static async open(localAddress: string, remoteAddress: string, identity: ProbeIdentity): Promise<Probe> {
    const socket = createSocket("udp4");
    await new Promise<void>((bound, failed) => {
      socket.once("error", failed);
      socket.bind({ address: localAddress, port: limits.gatewayProbePort }, () => {
        bound();
      });
    }).catch((cause: unknown) => {
      socket.close();
      throw cause;
    });
    return new Probe(socket, remoteAddress, identity);
  }

  private constructor(socket: Socket, remoteAddress: string, identity: ProbeIdentity) {
    this.#socket = socket;
    this.#remoteAddress = remoteAddress;
    this.#identity = identity;
    socket.removeAllListeners("error");
    // A device that went away: the next observation finds out.
    socket.on("error", () => undefined);
    socket.on("message", (packet, from) => {
      this.#take(packet, from);
    });
  }

  /**
   * Sends the least number of probes that verify a tunnel, and one as long as a packet of it can be.
   * @returns null when none was answered in time, or when different ones answered
   */
  async run(): Promise<ProbeResult | null> {
    const sizes = [...Array<number>(limits.gatewayProbesMin).fill(probeBytesMin), fullBytes];
    const answers = (await Promise.all(sizes.map((size) => this.#ask(size)))).filter((one) => one !== null);
    const [first] = answers;
    if (first === undefined) return null;
    const isSame = answers.every((one) => JSON.stringify(one.identity) === JSON.stringify(first.identity));
    if (!isSame) return null;
    const small = answers.filter(({ sizeBytes }) => sizeBytes === probeBytesMin);
    return {
      identity: first.identity,
      address: this.#remoteAddress,
      answered: small.length === limits.gatewayProbesMin ? small.length : 0,
      fullSize: answers.some(({ sizeBytes }) => sizeBytes === fullBytes),
    };
  }

  close(): void {
    this.#socket.close();
  }

  #ask(sizeBytes: number): Promise<{ identity: ProbeIdentity; sizeBytes: number } | null> {
    const nonce = randomBytes(nonceBytes);
    const key = nonce.toString("hex");
    return new Promise((answered) => {
      const timer = setTimeout(() => {
        this.#pending.delete(key);
        answered(null);
      }, limits.gatewayProbeMsMax);
      this.#pending.set(key, (identity, size) => {
        clearTimeout(timer);
        this.#pending.delete(key);
        // A shorter answer says nothing of the way back.
        answered(size === sizeBytes ? { identity, sizeBytes } : null);
      });
      this.#send(encodeQuestion(nonce, sizeBytes));
    });
  }

  #take(packet: Buffer, from: RemoteInfo): void {
    if (from.address !== this.#remoteAddress || from.port !== limits.gatewayProbePort) return;
    const reply = encodeAnswer(packet, this.#identity);
    if (reply !== null) {
      this.#send(reply);
      return;
    }
    const answer = decodeAnswer(packet);
    if (answer !== null) this.#pending.get(answer.nonce)?.(answer.identity, answer.sizeBytes);
  }

  /** A probe that cannot be sent is one that was not answered. */
  #send(packet: Buffer): void {
    this.#socket.send(packet, limits.gatewayProbePort, this.#remoteAddress, () => undefined);
  }
}
