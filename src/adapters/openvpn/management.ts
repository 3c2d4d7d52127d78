/**
 * A client of one OpenVPN process over its management socket: commands one after another, events as they come. OpenVPN serves one
 * client at a time; the socket lies in a directory that only root enters.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import { isUpAfter, parseManagementLine, type ManagementEvent } from "./management-lines.js";

export interface ManagementListener {
  event(event: ManagementEvent): void;
  /** The process ended, or let go of us. Not called after `close`. */
  closed(): void;
}

interface Waiting {
  readonly lines: string[];
  /** A block ends with END; anything else is one line. */
  readonly isBlock: boolean;
  answered(lines: readonly string[]): void;
  failed(cause: PortError): void;
}

export class Management {
  readonly #socket: Socket;
  readonly #listener: ManagementListener;
  readonly #waiting: Waiting[] = [];
  #isClosed = false;

  /** @throws PortError `OPENVPN_UNREACHABLE` */
  static connect(path: string, listener: ManagementListener): Promise<Management> {
    return new Promise((connected, failed) => {
      const socket = connect(path);
      socket.once("connect", () => {
        connected(new Management(socket, listener));
      });
      socket.once("error", (cause) => {
        failed(unreachable(cause.message));
      });
    });
  }

  private constructor(socket: Socket, listener: ManagementListener) {
    this.#socket = socket;
    this.#listener = listener;
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => {
      this.#take(line.slice(0, limits.gatewayManagementLineMax));
    });
    // A process that is killed with a command unread resets the connection, and both tell it: the end follows.
    lines.on("error", () => undefined);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#end();
    });
  }

  /** From now on each change of the tunnel and each line of OpenVPN's log is an event. */
  async follow(): Promise<void> {
    await this.#command("state on", false);
    await this.#command("log on", false);
  }

  /** Lets a process go that waits to begin; without the first command it would wait again after each restart. */
  async release(): Promise<void> {
    await this.#command("hold off", false);
    await this.#command("hold release", false);
  }

  /** Null when its history does not tell. */
  async isUp(): Promise<boolean | null> {
    return isUpAfter(await this.#command("state all", true));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** @param text one of the constants above: no value of anyone's is ever part of a command */
  #command(text: string, isBlock: boolean): Promise<readonly string[]> {
    return new Promise((answered, failed) => {
      if (this.#socket.destroyed) {
        failed(unreachable("it is closed"));
        return;
      }
      const timer = setTimeout(() => {
        this.#socket.destroy();
      }, limits.gatewayManagementMsMax);
      this.#waiting.push({
        lines: [],
        isBlock,
        answered: (lines) => {
          clearTimeout(timer);
          answered(lines);
        },
        failed: (cause) => {
          clearTimeout(timer);
          failed(cause);
        },
      });
      this.#socket.write(`${text}\n`);
    });
  }

  #take(text: string): void {
    const line = parseManagementLine(text);
    if (line.kind === "event") {
      this.#listener.event(line.event);
      return;
    }
    const first = this.#waiting[0];
    if (first === undefined) return;
    if (line.kind === "text") {
      first.lines.push(line.text);
      return;
    }
    if (first.isBlock && line.kind === "success") return;
    this.#waiting.shift();
    if (line.kind === "error") first.failed(unreachable(line.text));
    else first.answered(first.lines);
  }

  #end(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.failed(unreachable("it ended"));
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.closed();
  }
}

function unreachable(why: string): PortError {
  return new PortError("OPENVPN_UNREACHABLE", `OpenVPN's management socket: ${why}`, true);
}
