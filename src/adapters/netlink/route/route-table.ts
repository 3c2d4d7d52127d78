/**
 * The kernel's main routing table and devices, as far as gateways use them. A route is replaced in one step and read back; what the
 * kernel would really take is what is read, so a foreign route that is in front of ours is seen. The network namespace is the one
 * that the program runs in.
 */
import { PortError } from "../../port-error.js";
import type { KernelError } from "../codec/kernel-error.js";
import { NetlinkDescriptor, netlinkProtocol } from "../socket/descriptor.js";
import { loadLibc } from "../socket/libc.js";
import { RequestSocket, type Answer, type AppendMessage } from "../socket/request-socket.js";
import {
  appendDeleteDevice,
  appendGetDevice,
  appendListAddresses,
  appendListDevices,
  readDevice,
  readDeviceAddress,
} from "./device-codec.js";
import type { Device, DeviceAddress, Prefix, Route } from "./model.js";
import {
  appendDeleteRoute,
  appendMatchRoute,
  appendReplaceRoute,
  readRoute,
  type OurRoute,
} from "./route-codec.js";

/** asm-generic/errno.h. */
const absent = { noEntry: 2, noProcess: 3, noDevice: 19, noNetwork: 101, noHost: 113 } as const;

export async function openRouteTable(): Promise<RouteTable> {
  return new RouteTable(new RequestSocket(new NetlinkDescriptor(await loadLibc(), netlinkProtocol.route)));
}

export class RouteTable {
  readonly #socket: RequestSocket;

  constructor(socket: RequestSocket) {
    this.#socket = socket;
  }

  /** @throws PortError `ROUTE_REFUSED` */
  async replace(route: OurRoute): Promise<void> {
    await this.#send(route, appendReplaceRoute, []);
  }

  /** Takes our route away. Removing the absent succeeds; a route of somebody else stays. */
  async remove(destination: Prefix): Promise<void> {
    await this.#send(destination, appendDeleteRoute, [absent.noProcess, absent.noEntry, absent.noDevice]);
  }

  /**
   * The entry that decides about the first address of a network: ours, another one in front of it, or a wider one.
   * @returns null when there is none, or one that leads nowhere
   */
  async match(destination: Prefix): Promise<Route | null> {
    const [answer] = await this.#socket.getMany([destination], appendMatchRoute, readRoute);
    return foundOr(answer!, [absent.noNetwork, absent.noHost, absent.noProcess, absent.noEntry]);
  }

  async device(name: string): Promise<Device | null> {
    const [answer] = await this.#socket.getMany([name], appendGetDevice, readDevice);
    return foundOr(answer!, [absent.noDevice]);
  }

  async devices(): Promise<readonly Device[]> {
    const found: Device[] = [];
    const visit = (payload: Uint8Array): void => {
      const device = readDevice(payload);
      if (device !== null) found.push(device);
    };
    await this.#socket.dump(appendListDevices, visit, () => (found.length = 0));
    return found;
  }

  async addresses(): Promise<readonly DeviceAddress[]> {
    const found: DeviceAddress[] = [];
    const visit = (payload: Uint8Array): void => {
      const address = readDeviceAddress(payload);
      if (address !== null) found.push(address);
    };
    await this.#socket.dump(appendListAddresses, visit, () => (found.length = 0));
    return found;
  }

  /** Removing the absent succeeds. */
  async removeDevice(index: number): Promise<void> {
    await this.#send(index, appendDeleteDevice, [absent.noDevice]);
  }

  close(): void {
    this.#socket.close();
  }

  async #send<T>(item: T, append: AppendMessage<T>, harmless: readonly number[]): Promise<void> {
    const [refused] = await this.#socket.send([item], append);
    if (refused === undefined || harmless.includes(refused.error.errno)) return;
    throw routeRefused(refused.error);
  }
}

function foundOr<T>(answer: Answer<T>, missing: readonly number[]): T | null {
  if ("found" in answer) return answer.found;
  if (missing.includes(answer.error.errno)) return null;
  throw routeRefused(answer.error);
}

/** The kernel's own words, where it has any. */
function routeRefused({ errno, text }: KernelError): PortError {
  const message = `the kernel refuses the route or device: ${text ?? `error ${errno}`}`;
  return new PortError("ROUTE_REFUSED", message, true);
}
