/** The files of the repository, for tests that read them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** This file runs from dist/test/support/. */
export const root = fileURLToPath(new URL("../../../", import.meta.url));

const skippedFolders: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".spindle"]);

/** Paths of all files, relative to the root. */
export function listFiles(folder = ""): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !skippedFolders.has(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return listFiles(path);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

export function readFile(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
