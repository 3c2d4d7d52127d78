/** A stored record that this version cannot read is left alone and named in the log, once per version of it. */
import type { InvalidRecord } from "../../adapters/registry/records.js";
import type { Log } from "../../ports/log.js";

export function skipLogger(log: Log): (record: InvalidRecord) => void {
  return ({ key, revision, reason }) => {
    log.write("error", "registry record skipped", { code: "REGISTRY_RECORD_INVALID", key, revision, why: reason });
  };
}
