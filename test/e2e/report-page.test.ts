/// <reference lib="dom" />
/** The page of `spindle simulate --report`, in a browser as a reader has it. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { renderReport } from "../../src/cli/report/page.js";
import { Simulation } from "../../src/sim/run/simulation.js";
import { simulationDefaults, type SimulationOptions } from "../../src/sim/run/simulation-options.js";
import type { SimulationResult } from "../../src/sim/run/simulation-result.js";
import { showFile, skipWithoutBrowser, startBrowser } from "../support/browser.js";

const skip = await skipWithoutBrowser();
let browser: Browser;
let directory: string;

before(async () => {
  if (skip !== false) return;
  browser = await startBrowser();
  directory = await mkdtemp(join(tmpdir(), "spindle-report-"));
});

after(async () => {
  if (skip !== false) return;
  await browser.close();
  await rm(directory, { recursive: true });
});

function simulate(changes: Partial<SimulationOptions>): SimulationResult {
  const simulation = new Simulation({ ...simulationDefaults, nodes: 8, keyDistributionMs: 500, coordination: "pairwise", slowNodeMs: 1_000, ...changes });
  while (simulation.advance());
  return simulation.finish();
}

async function write(name: string, page: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, page);
  return path;
}

/** For each chart, how many colours its canvas shows: 1 for an empty one. */
function coloursOf(page: Page): Promise<readonly number[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll("canvas")].map((canvas) => {
      const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
      const colours = new Set<number>();
      for (let i = 0; i < pixels.length; i += 4) {
        colours.add(((pixels[i] ?? 0) << 16) | ((pixels[i + 1] ?? 0) << 8) | (pixels[i + 2] ?? 0));
      }
      return colours.size;
    }),
  );
}

test("report: two runs side by side, all charts drawn, nothing fetched", { skip }, async () => {
  const runs = [
    { name: "order=advertise-first", result: simulate({ order: "advertise-first" }) },
    { name: "order=stage-first", result: simulate({}) },
  ];
  const path = await write("compared.html", await renderReport(runs));
  const { page, errors, requests } = await showFile(browser, path, { colorScheme: "light", width: 1_280 });
  assert.deepEqual([errors, requests], [[], []]);
  const colours = await coloursOf(page);
  assert.equal(colours.length, 8, "losses, phases, registry and staging of each run");
  for (const count of colours) assert.ok(count > 2, `a chart with ${count} colours is empty`);
  const [left, right] = await page.locator(".verdict").allTextContents();
  assert.match(left ?? "", /^\d+ of [\d,]+ packets lost$/);
  assert.equal(right, "0 packets lost");
  const [one, other] = await Promise.all([0, 1].map((index) => page.locator(".run").nth(index).boundingBox()));
  assert.equal(one?.y, other?.y, "side by side");
  await page.close();
});

test("report: dark where the reader is, and no wider than a phone", { skip }, async () => {
  const path = await write("single.html", await renderReport([{ name: null, result: simulate({}) }]));
  const light = await showFile(browser, path, { colorScheme: "light", width: 400 });
  const dark = await showFile(browser, path, { colorScheme: "dark", width: 400 });
  const background = ({ page }: { readonly page: Page }): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.notEqual(await background(light), await background(dark));
  const overflow = await dark.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "it does not scroll sideways");
  assert.equal((await coloursOf(dark.page)).length, 3, "no chart of losses where there are none");
  await Promise.all([light.page.close(), dark.page.close()]);
});

test("report: the charts follow when the reader turns the lights off", { skip }, async () => {
  const path = await write("turned.html", await renderReport([{ name: null, result: simulate({}) }]));
  const { page, errors } = await showFile(browser, path, { colorScheme: "light", width: 900 });
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal((await coloursOf(page)).length, 3, "drawn again, not twice");
  assert.deepEqual(errors, []);
  await page.close();
});

test("report: hostile names are text", { skip }, async () => {
  const hostile = `</script><img src=x onerror="document.title='broken'">`;
  const result = simulate({ order: "advertise-first" });
  const violations = result.violations.map((violation) => ({ ...violation, message: hostile, cause: hostile }));
  const staging = result.staging.map((one) => ({ ...one, node: hostile }));
  const path = await write("hostile.html", await renderReport([{ name: hostile, result: { ...result, violations, staging, replay: hostile } }]));
  const { page, errors, requests } = await showFile(browser, path, { colorScheme: "light", width: 900 });
  assert.deepEqual([errors, requests], [[], []]);
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.locator("h2").textContent(), hostile);
  assert.notEqual(await page.title(), "broken");
  await page.close();
});

test("report: without scripts the words and tables stand", { skip }, async () => {
  const path = await write("words.html", await renderReport([{ name: null, result: simulate({}) }]));
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`file://${path}`);
  assert.equal(await page.locator(".verdict").textContent(), "0 packets lost");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await context.close();
});
