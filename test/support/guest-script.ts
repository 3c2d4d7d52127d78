/**
 * The first program of a guest kernel: mounts what Node.js and `ip netns` need, loads the modules,
 * runs one program, leaves its output and exit status in a folder of the host, and powers off.
 */
import type { KernelHost } from "./kernel-host.js";

export interface GuestTask {
  readonly host: KernelHost;
  /** Folder of the host that the guest may write to; all else is read-only to it. */
  readonly folder: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Working folder. */
  readonly root: string;
  readonly withoutModules?: readonly string[];
}

/** Loaded at once: each on demand costs a process, and processes are dear in User-Mode Linux. */
const modules = [
  ...["ipv6", "esp4", "esp6", "xfrm_user", "gcm", "ctr", "ghash_generic"],
  ...["drbg", "jitterentropy_rng", "seqiv", "echainiv"],
  ...["veth", "dummy", "bridge", "sch_netem", "authenc", "cbc", "hmac", "sha512_generic"],
];

export function guestScript(task: GuestTask): string {
  const lines = [
    "#!/bin/sh",
    "mount -t tmpfs tmpfs /run",
    "mkdir -p /run/netns /run/home",
    "export HOME=/run/home PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...(task.host === "native" ? ["mount -t proc proc /proc"] : umlLines(task)),
    "ip link set lo up",
    `cd ${quote(task.root)}`,
    `${[task.program, ...task.args].map(quote).join(" ")} >${out(task, "stdout")} 2>${out(task, "stderr")} </dev/null`,
    `echo $? >${out(task, "status")}`,
  ];
  if (task.host !== "native") lines.push("sync", powerOff, "sleep 10");
  return `${lines.join("\n")}\n`;
}

const powerOff = "echo o >/proc/sysrq-trigger";

function umlLines({ folder, withoutModules = [] }: GuestTask): readonly string[] {
  const loaded = modules.filter((module) => !withoutModules.includes(module));
  const base = `${folder}/modules`;
  return [
    "mount -t proc proc /proc",
    "mount -t sysfs sysfs /sys",
    `mount -t hostfs none ${quote(folder)} -o ${quote(folder)}`,
    // The console closes when the process that started the guest is gone.
    `(read -r line </dev/console; ${powerOff}) &`,
    `mkdir -p ${quote(base)}/lib/modules`,
    `ln -s /usr/lib/uml/modules/$(uname -r) ${quote(base)}/lib/modules/`,
    `modprobe -d ${quote(base)} -a ${loaded.join(" ")}`,
  ];
}

function out(task: GuestTask, name: string): string {
  return quote(`${task.folder}/${name}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
