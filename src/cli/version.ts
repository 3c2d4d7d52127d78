/** The version in package.json, which lies three folders above the compiled file. */
import { readFileSync } from "node:fs";

export const version: string = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
