/**
 * The management interface of OpenVPN, line by line (its management-notes.txt): answers to commands, and events, which begin with
 * ">" and come at any time.
 */
export type ManagementEvent =
  | { readonly kind: "hold" }
  | { readonly kind: "state"; readonly state: TunnelState }
  /** `flags` as OpenVPN gives them: F fatal, N error, W warning, I and D the rest. */
  | { readonly kind: "log"; readonly flags: string; readonly text: string }
  | { readonly kind: "other"; readonly text: string };

export interface TunnelState {
  /** CONNECTED, RECONNECTING, EXITING and so on; OpenVPN may know more in time. */
  readonly name: string;
  readonly detail: string;
  /** Where packets of the peer come from, empty until it is known. */
  readonly peerAddress: string;
}

export type ManagementLine =
  | { readonly kind: "event"; readonly event: ManagementEvent }
  | { readonly kind: "success"; readonly text: string }
  | { readonly kind: "error"; readonly text: string }
  | { readonly kind: "end" }
  | { readonly kind: "text"; readonly text: string };

export function parseManagementLine(line: string): ManagementLine {
  if (line.startsWith(">")) return { kind: "event", event: parseEvent(line.slice(1)) };
  if (line.startsWith("SUCCESS:")) return { kind: "success", text: line.slice(8).trim() };
  if (line.startsWith("ERROR:")) return { kind: "error", text: line.slice(6).trim() };
  return line === "END" ? { kind: "end" } : { kind: "text", text: line };
}

function parseEvent(line: string): ManagementEvent {
  const colon = line.indexOf(":");
  const kind = line.slice(0, colon);
  const rest = line.slice(colon + 1);
  if (kind === "HOLD") return { kind: "hold" };
  if (kind === "LOG") return parseLog(rest);
  const state = kind === "STATE" ? parseState(rest) : null;
  return state === null ? { kind: "other", text: line } : { kind: "state", state };
}

/** Time, flags, text; the text may hold commas. */
function parseLog(line: string): ManagementEvent {
  const [, flags = "", ...words] = line.split(",");
  return { kind: "log", flags, text: words.join(",") };
}

/** Time, name, detail, local tunnel address, peer's address, and more. @returns null when it is cut */
export function parseState(line: string): TunnelState | null {
  const [, name, detail = "", , peerAddress = ""] = line.split(",");
  return name === undefined || name === "" ? null : { name, detail, peerAddress };
}

/**
 * Is the tunnel up, after these states? Whoever sends a first packet of a handshake makes OpenVPN say AUTH and WAIT, also when it is then
 * refused and the tunnel was never touched (2.6.14, measured): so these two decide nothing.
 * @returns null when nothing decides it: OpenVPN keeps the last hundred states
 */
export function isUpAfter(history: readonly string[]): boolean | null {
  const names = history.map((line) => parseState(line)?.name);
  const last = names.findLast((name) => name !== undefined && name !== "AUTH" && name !== "WAIT");
  return last === undefined ? null : last === "CONNECTED";
}
