/**
 * The device of a gateway: made before its process and kept when that dies. A route of several hops goes as a whole when a device of one
 * of its hops is unregistered (Linux 6.18, fib_sync_down_dev), so a device that went with its process would take the traffic of the
 * other pair along. One that stays merely loses its carrier, and the kernel then leaves this one hop out.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { PortError } from "../port-error.js";

const run = promisify(execFile);

/**
 * Making the present succeeds.
 * @throws PortError `OPENVPN_MISSING`, `GATEWAY_DEVICE_REFUSED`
 */
export async function makeDevice(program: string, name: string): Promise<void> {
  try {
    await run(program, ["--mktun", "--dev-type", "tun", "--dev", name], { env: {} });
    await writeFile(`/proc/sys/net/ipv4/conf/${name}/ignore_routes_with_linkdown`, "1");
  } catch (cause) {
    const { code, stdout, message } = cause as { code?: unknown; stdout?: string; message: string };
    if (code === "ENOENT" && stdout !== undefined)
      throw new PortError("OPENVPN_MISSING", `${program} cannot be run: install OpenVPN 2.6, or correct the path`, false);
    const words = stdout?.trim().split("\n").at(-1) || message;
    throw new PortError("GATEWAY_DEVICE_REFUSED", `device ${name} cannot be made: ${words}`, true);
  }
}
