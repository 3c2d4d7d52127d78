import assert from "node:assert/strict";
import { test } from "node:test";
import { findGuest } from "./kernel-host.js";

test("kernel host: User-Mode Linux serves where all that it needs is installed", () => {
  assert.equal(findGuest("no ESP", () => true), "user-mode-linux");
});

test("kernel host: what is missing is named, with why the host's kernel does not serve", () => {
  const found = findGuest("Operation not permitted", (program) => program.startsWith("/usr/bin/un"));
  assert.ok(typeof found === "object");
  assert.match(found.missing, /^this host's kernel cannot be used \(Operation not permitted\)/);
  assert.match(found.missing, /linux\.uml, \/sbin\/modprobe, \/sbin\/ip are missing: apt-get install user-mode-linux/);
});
