/**
 * The table of Debian packages is used by tests of later parts; its rules are checked here with
 * tables of their own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { root } from "./support/repository.js";

interface SystemPackage {
  readonly name: string;
  readonly file: string;
  readonly neededFor: string;
}

interface SystemPackagesModule {
  missingPackages(table: readonly SystemPackage[]): readonly SystemPackage[];
  skipWithout(name: string, table: readonly SystemPackage[]): string | false;
}

const path = pathToFileURL(join(root, "tools/system-packages.mjs")).href;
const { missingPackages, skipWithout } = (await import(path)) as SystemPackagesModule;

const present: SystemPackage = { name: "bash", file: process.execPath, neededFor: "a shell" };
const absent: SystemPackage = {
  name: "no-such-package",
  file: "/no/such/file",
  neededFor: "nothing at all",
};

test("system packages: one that is there lets its tests run", () => {
  assert.equal(skipWithout("bash", [present, absent]), false);
});

test("system packages: one that is missing skips with the reason and the command", () => {
  assert.deepEqual(missingPackages([present, absent]), [absent]);
  assert.equal(
    skipWithout("no-such-package", [present, absent]),
    "nothing at all: needs the Debian package no-such-package (apt-get install no-such-package)",
  );
});

test("system packages: a test may only ask for what the table has", () => {
  assert.throws(() => skipWithout("unlisted", [present]), /unlisted is not in tools/);
});
