/** Debian's Chromium without a window, cut off from everything but the file that it is shown. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { root } from "./repository.js";

const executablePath = "/usr/bin/chromium";
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

interface SystemPackages {
  skipWithout(name: string): string | false;
}

/** For the `skip` option of a test. */
export async function skipWithoutBrowser(): Promise<string | false> {
  const path = pathToFileURL(join(root, "tools/system-packages.mjs")).href;
  const { skipWithout } = (await import(path)) as SystemPackages;
  return skipWithout("chromium");
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, args });
}

export interface ShownPage {
  readonly page: Page;
  /** Errors of scripts, and what was written to the console as one. */
  readonly errors: readonly string[];
  /** Everything that the page asked for besides itself. */
  readonly requests: readonly string[];
}

export async function showFile(
  browser: Browser,
  path: string,
  look: { readonly colorScheme: "light" | "dark"; readonly width: number },
): Promise<ShownPage> {
  const viewport = { width: look.width, height: 900 };
  const page = await browser.newPage({ colorScheme: look.colorScheme, viewport });
  const errors: string[] = [];
  const requests: string[] = [];
  const url = pathToFileURL(path).href;
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("request", (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  await page.goto(url);
  return { page, errors, requests };
}
