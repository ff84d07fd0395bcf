// Prints what axe finds on a page, as JSON: in light and dark, on a telephone and on a desk, folded parts opened.
// node axe.cjs FOLDER_OF_node_modules CHROMIUM FILE
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const fs = require("node:fs");
const path = require("node:path");

const [home, chromium, file] = process.argv.slice(2);
const load = createRequire(path.join(home, "package.json"));
const puppeteer = load("puppeteer-core");
const axe = fs.readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

async function look(browser, scheme, width) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("request", (request) => { if (!request.url().startsWith("file:")) said.push(`asked for ${request.url()}`); });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height: 900 });
  await page.goto(pathToFileURL(file).href);
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "passes"] }));
  await page.close();
  const where = `${scheme} ${width}`;
  return {
    where, overflow, said, n_passes: found.passes.length,
    violations: found.violations.map((each) => ({ where, id: each.id, help: each.help, nodes: each.nodes.map((n) => n.html.slice(0, 200) + " :: " + (n.failureSummary || "").slice(0, 300)).slice(0, 5) })),
  };
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
  const looked = [];
  for (const scheme of ["light", "dark"]) for (const width of [390, 1280]) looked.push(await look(browser, scheme, width));
  await browser.close();
  console.log(JSON.stringify(looked));
})().catch((error) => { console.error(error); process.exit(1); });
