/**
 * The configuration file of one OpenVPN process. Each value is checked again here, however it came: a line break, a space or a quote
 * in one would be an option of OpenVPN's.
 * Facts of OpenVPN 2.6 that it rests on: a point-to-point process with TLS serves one peer and reports CONNECTED only after the
 * handshake, also at the end that listens; `peer-fingerprint` beside `ca` asks for both; nothing is run (`script-security 0`).
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Fingerprint, Side } from "../../core/gateway/link.js";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import type { CommonName } from "../pki/common-name.js";
import type { Place } from "./place.js";

export interface ProcessSettings {
  readonly side: Side;
  readonly place: Place;
  /** Of the underlay: bound by the server, dialled by the client. */
  readonly address: string;
  /** The one certificate that the peer may show. */
  readonly peerName: CommonName;
  readonly peerFingerprint: Fingerprint;
  readonly files: ProcessFiles;
}

export interface ProcessFiles {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
  readonly managementSocket: string;
}

/** @throws PortError `OPENVPN_SETTING_REFUSED` */
export function renderConfiguration(settings: ProcessSettings): string {
  const { side, place, files } = settings;
  const lines = [
    // First: what is wrong with a later line is then found where errors are looked for.
    "errors-to-stderr",
    "mode p2p",
    "dev-type tun",
    `dev ${checked("device", place.device, devicePattern)}`,
    `ifconfig ${ipv4(place.localAddress)} ${ipv4(place.remoteAddress)}`,
    `tun-mtu ${limits.gatewayTunnelMtu}`,
    ...(side === "server" ? serverLines(settings) : clientLines(settings)),
    `ca ${path(files.roots)}`,
    `cert ${path(files.certificate)}`,
    `key ${path(files.key)}`,
    `verify-x509-name ${checked("name", settings.peerName, /^[a-z0-9][-a-z0-9.]*$/)} name`,
    `peer-fingerprint ${withColons(settings.peerFingerprint)}`,
    `management ${path(files.managementSocket)} unix`,
    ...constantLines,
  ];
  return `${lines.join("\n")}\n`;
}

const constantLines = [
  "management-hold",
  "data-ciphers AES-256-GCM",
  // Linux's own default holds a third of a second of the lab's traffic: a site that is short of processors for longer lost packets.
  `rcvbuf ${limits.gatewayReceiveBufferBytes}`,
  "tls-version-min 1.3",
  // A lost first packet of the handshake is sent again after a second, and a handshake that fails ends in time for the next.
  "tls-timeout 1",
  `hand-window ${limits.gatewayHandshakeSeconds}`,
  `ping ${limits.gatewayPingSeconds}`,
  `ping-restart ${limits.gatewayPingRestartSeconds}`,
  // A restart after silence keeps device and addresses, so that routes stay.
  "persist-tun",
  "persist-key",
  "auth-nocache",
  "script-security 0",
  // The kernel's own data channel is another implementation, which nobody measured here.
  "disable-dco",
  "verb 3",
];

function serverLines({ address, place }: ProcessSettings): readonly string[] {
  return [
    "tls-server",
    "dh none",
    `proto ${protocolOf(address)}`,
    `local ${address}`,
    `port ${port(place)}`,
    // Silence of a peer that never came is no reason to begin anew.
    "ping-timer-rem",
    "remote-cert-tls client",
  ];
}

function clientLines({ address, place }: ProcessSettings): readonly string[] {
  const protocol = protocolOf(address);
  return [
    "tls-client",
    `proto ${protocol}`,
    `remote ${address} ${port(place)} ${protocol}`,
    "nobind",
    "connect-retry 1 5",
    "resolv-retry 0",
    "remote-cert-tls server",
  ];
}

const devicePattern = /^[a-z0-9][-a-z0-9]{0,14}$/;
/** No white space, quote, backslash, comment sign or bracket. */
const pathPattern = /^\/[A-Za-z0-9._/@+=:,-]*$/;

/** Can OpenVPN be given this path? */
export function isUsablePath(text: string): boolean {
  return pathPattern.test(text);
}

function path(text: string): string {
  return checked("path", text, pathPattern);
}

function ipv4(text: string): string {
  return isIPv4(text) ? text : refuse("tunnel address", text);
}

function protocolOf(address: string): "udp4" | "udp6" {
  if (isIPv4(address)) return "udp4";
  // A zone (`%eth0`) is part of an address for the platform, and not a thing that we hand on.
  return isIPv6(address) && !address.includes("%") ? "udp6" : refuse("address", address);
}

function port({ port: number }: Place): number {
  return Number.isInteger(number) && number > 0 && number < 65_536 ? number : refuse("port", String(number));
}

function withColons(fingerprint: Fingerprint): string {
  const hex = checked("fingerprint", fingerprint, /^[0-9a-f]{64}$/);
  return hex.toUpperCase().match(/../g)!.join(":");
}

function checked(what: string, text: string, pattern: RegExp): string {
  return pattern.test(text) ? text : refuse(what, text);
}

function refuse(what: string, text: string): never {
  const shown = JSON.stringify(text.slice(0, 80));
  throw new PortError("OPENVPN_SETTING_REFUSED", `OpenVPN is not given the ${what} ${shown}`, false);
}
