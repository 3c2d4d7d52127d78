/** The container image's file, as far as it can be checked without building it: what it copies runs, and as whom. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { builtinModules } from "node:module";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readFile, root } from "../support/repository.js";

const text = readFile("Dockerfile");
const final = text.split(/^FROM /m).at(-1) ?? "";
const copied = [...final.matchAll(/^COPY --from=build \/build\/(\S+) (\S+)$/gm)].map(([, from = "", to = ""]) => ({ from, to }));

test("image: it is built in a stage of its own, and what is not needed to build stays out", () => {
  assert.equal(text.match(/^FROM /gm)?.length, 2);
  const ignored = readFile(".dockerignore").split("\n");
  for (const name of [".git", "node_modules", "dist"]) assert.ok(ignored.includes(name), name);
  assert.match(text, /npm prune --omit=dev/);
});

test("image: it runs as a user that is not root, and one program in it may change the network", () => {
  const users = [...final.matchAll(/^USER (\d+):(\d+)$/gm)].map(([, user]) => Number(user));
  assert.deepEqual(users, [65_532]);
  assert.deepEqual([...final.matchAll(/setcap (\S+) (\S+)/g)].map(([, what, file]) => [what, file]), [
    ["cap_net_admin+ep", "/usr/local/bin/node-net-admin"],
  ]);
});

test("image: the files that it copies are enough to run the program", () => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-image-"));
  try {
    for (const { from, to } of copied) {
      const target = join(folder, to === "./" ? from : to);
      assert.ok(existsSync(join(root, from)), from);
      mkdirSync(join(target, ".."), { recursive: true });
      if (from === "node_modules") symlinkSync(join(root, from), target);
      else cpSync(join(root, from), target, { recursive: true });
    }
    const entry = /^ENTRYPOINT \["\/usr\/local\/bin\/node", "\/opt\/spindle\/(\S+)"\]$/m.exec(final)?.[1] ?? "";
    const run = (...words: string[]): string =>
      execFileSync(process.execPath, [join(folder, entry), ...words], { encoding: "utf8", cwd: folder });
    const { version } = JSON.parse(readFile("package.json")) as { version: string };
    assert.equal(run("--version").trim(), version);
    assert.match(run("agent", "--help"), /--config/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("image: no program needs a package that is pruned", () => {
  const { dependencies } = JSON.parse(readFile("package.json")) as { dependencies: Record<string, string> };
  const known = new Set([...builtinModules, ...Object.keys(dependencies)]);
  const sources = readdirSync(join(root, "dist/src"), { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".js") && !file.endsWith(".test.js"),
  );
  assert.ok(sources.length > 100);
  for (const file of sources) {
    const code = readFileSync(join(root, "dist/src", file), "utf8");
    for (const [, ...names] of code.matchAll(/^(?:import|export|\}).* from "([^"]+)";$|\bimport\("([^"]+)"\)|^import "([^"]+)";$/gm)) {
      const name = names.find((one) => one !== undefined) ?? "";
      if (name.startsWith("node:") || name.startsWith(".")) continue;
      const parts = name.split("/");
      const found = name.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
      assert.ok(known.has(found), `${file} needs ${name}`);
    }
  }
});
