/**
 * The first program of a guest kernel: mounts what Node.js and `ip netns` need, loads the modules,
 * runs one program, leaves its output and exit status in a folder of the host, and powers off.
 */
import type { KernelHost } from "./kernel-host.js";

export interface GuestTask {
  readonly host: KernelHost;
  /** Folder of the host for output, exit status and modules. */
  readonly folder: string;
  /** Further folders of the host that the guest may write to; all else is read-only to it. */
  readonly writable: readonly string[];
  readonly program: string;
  readonly args: readonly string[];
  readonly workingFolder: string;
  readonly withoutModules: readonly string[];
  /** Is standard error to be seen while the program runs? */
  readonly isLive: boolean;
}

/** Loaded at once: each on demand costs a process, and processes are dear in User-Mode Linux. */
const modules = [
  ...["ipv6", "esp4", "esp6", "xfrm_user", "gcm", "ctr", "ghash_generic"],
  ...["drbg", "jitterentropy_rng", "seqiv", "echainiv"],
  ...["veth", "dummy", "bridge", "sch_netem", "sch_ingress", "cls_u32", "act_gact", "cls_bpf", "nf_tables", "iptable_filter", "xt_tcpudp", "authenc", "cbc", "hmac", "sha512_generic"],
];

export function guestScript(task: GuestTask): string {
  const lines = [
    "#!/bin/sh",
    "mount -t tmpfs tmpfs /run",
    "mkdir -p /run/netns /run/home /run/tmp",
    "export HOME=/run/home TMPDIR=/run/tmp PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...(task.host === "native" ? ["mount -t proc proc /proc"] : umlLines(task)),
    "ip link set lo up",
    `cd ${quote(task.workingFolder)}`,
    ...programLines(task),
  ];
  if (task.host !== "native") lines.push("sync", powerOff, "sleep 10");
  return `${lines.join("\n")}\n`;
}

const powerOff = "echo o >/proc/sysrq-trigger";

function umlLines({ folder, writable, withoutModules }: GuestTask): readonly string[] {
  const loaded = modules.filter((module) => !withoutModules.includes(module));
  const base = `${folder}/modules`;
  const mount = (path: string): string => `mount -t hostfs none ${quote(path)} -o ${quote(path)}`;
  return [
    "mount -t proc proc /proc",
    "mount -t sysfs sysfs /sys",
    ...[folder, ...writable].map(mount),
    // The console closes when the process that started the guest is gone.
    `(read -r line </dev/console; ${powerOff}) &`,
    `mkdir -p ${quote(base)}/lib/modules`,
    `ln -s /usr/lib/uml/modules/$(uname -r) ${quote(base)}/lib/modules/`,
    `modprobe -d ${quote(base)} -a ${loaded.join(" ")}`,
  ];
}

/** The second console (a terminal, so set to change nothing) is a pipe of the host. */
const liveConsole = "/run/live";

function programLines(task: GuestTask): readonly string[] {
  const command = `${[task.program, ...task.args].map(quote).join(" ")} </dev/null`;
  const stdout = `>${out(task, "stdout")}`;
  const keepStatus = `echo $? >${out(task, "status")}`;
  if (!task.isLive) return [`${command} ${stdout} 2>${out(task, "stderr")}`, keepStatus];
  return [
    `mknod ${liveConsole} c 4 1 && stty -F ${liveConsole} raw -echo`,
    // Standard error is a pipe to the program, and no terminal.
    `{ ${command} 2>&1 ${stdout}; ${keepStatus}; } | cat >${liveConsole}`,
  ];
}

function out(task: GuestTask, name: string): string {
  return quote(`${task.folder}/${name}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
