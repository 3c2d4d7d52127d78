/**
 * Starts the status server of a daemon where its configuration says, or not at all. A daemon that serves nothing does
 * not load the server either: that is a third of its start.
 */
import { formatServiceAddress } from "../../http/listen.js";
import type { StatusSource } from "../../http/server.js";
import type { Log } from "../../ports/log.js";
import type { MetricsConfig } from "../config/sections.js";
import { CliError } from "../exit.js";

/**
 * Returns how to stop it.
 * @param makeSource called only when something is served
 * @throws CliError when the address cannot be listened on
 */
export async function serveStatus(
  config: MetricsConfig | null,
  log: Log,
  makeSource: () => Promise<StatusSource>,
): Promise<() => Promise<void>> {
  if (config === null) return async () => undefined;
  const { startStatusServer } = await import("../../http/server.js");
  const onUnusable = (why: string): void => {
    log.write("error", "renewed certificate cannot be used, the last one is served", { code: "HTTP_TLS_UNREADABLE", why });
  };
  const server = await startStatusServer(config.listen, await makeSource(), { tls: config.tls, onUnusable });
  if (!server.ok) {
    const { code, message } = server.error;
    throw new CliError({ exitCode: 2, code, message, hint: "change metrics.listen or metrics.tls in the configuration" });
  }
  log.write("info", "status served", { at: formatServiceAddress(server.value.address) });
  return () => server.value.close();
}
