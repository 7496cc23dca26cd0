// Uses the page as a person does, in Debian's Chromium: `node page.mjs walk` finds a failed delivery, mends what is wrong
// and sees it delivered; `node page.mjs keys` goes by the keyboard alone; `node page.mjs judge` holds every page against
// axe-core, in light, dark and narrow.
//
// Reads one JSON object from standard input: `base`, `token`, `webhook`, `profile` (a folder), `pages` (addresses to judge),
// `pictures` (a folder for screenshots, or null). Writes one JSON object: what was seen.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const said = JSON.parse(readFileSync(0, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
  ],
  env: { ...process.env, HOME: said.profile },
});

async function logIn(page) {
  await page.goto(`${said.base}/`);
  await page.getByLabel("API token").fill(said.token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

async function picture(page, name) {
  if (said.pictures) await page.screenshot({ path: join(said.pictures, `${name}.png`), fullPage: true });
}

// The pages need no scripts, so the walk is without.
async function walk() {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  const seen = {};
  await logIn(page);
  seen.problem = await page.locator(".verdict").innerText();
  await picture(page, "walk-1-overview");
  await page.getByRole("link", { name: "1 delivery was given up" }).click();
  await page.getByRole("table").getByRole("link", { name: /^#\d+$/ }).first().click();
  seen.why = await page.getByRole("region", { name: "Why" }).innerText();
  seen.state = await page.locator("h1 .badge").innerText();
  const delivery = page.url();
  await picture(page, "walk-2-delivery");
  await page.getByRole("link", { name: /^Look at the settings/ }).click();
  const webhook = page.getByLabel("Webhook");
  seen.shownSecret = await webhook.inputValue();
  await webhook.fill("no address");
  await page.getByRole("button", { name: "Save" }).click();
  seen.refused = await page.locator("#webhook-wrong").innerText();
  await picture(page, "walk-3-refused");
  await page.getByLabel("Webhook").fill(said.webhook);
  await page.getByRole("button", { name: "Save" }).click();
  seen.saved = await page.getByRole("status").first().innerText();
  await page.getByRole("button", { name: "Test" }).click();
  seen.test = await page.getByRole("region", { name: /^Test/ }).innerText();
  await picture(page, "walk-4-tested");
  await page.goto(delivery);
  await page.getByRole("button", { name: /^Retry delivery/ }).click();
  seen.retried = await page.getByRole("status").first().innerText().catch(() => "");
  const deadline = Date.now() + 60_000;
  do {
    await page.goto(delivery);
    seen.end = await page.locator("h1 .badge").innerText();
  } while (seen.end !== "delivered" && Date.now() < deadline);
  await picture(page, "walk-5-delivered");
  await page.getByRole("definition").getByRole("link", { name: "told" }).click();
  seen.event = await page.getByRole("region", { name: /^What each integration did/ }).innerText();
  await picture(page, "walk-6-event");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.goto(delivery);
  seen.afterLogOut = new URL(page.url()).pathname;
  return seen;
}

// What has the focus, and whether a person sees that.
async function focused(page) {
  return page.evaluate(() => {
    const { activeElement: element } = document;
    const { top, bottom, height } = element.getBoundingClientRect();
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return {
      text: element.textContent.trim(), name: element.getAttribute("name"),
      inView: height > 0 && top >= 0 && bottom <= innerHeight,
      outlined: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
    };
  });
}

async function keys() {
  const page = await (await browser.newContext()).newPage();
  const seen = {};
  await logIn(page);
  await page.goto(`${said.base}/-/deliveries`);
  await page.keyboard.press("Tab");
  seen.first = await focused(page);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  seen.afterSkip = await focused(page);
  await page.keyboard.press("Tab");
  seen.next = await focused(page);
  return seen;
}

const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "narrow", colorScheme: "light", viewport: { width: 390, height: 844 } },
];

async function judge() {
  const found = [];
  for (const { name, ...look } of LOOKS) {
    const context = await browser.newContext(look);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("request", (request) => request.url().startsWith(said.base) || complaints.push(`fetches ${request.url()}`));
    await page.goto(`${said.base}/-/login`);
    const first = await verdict(page);
    await picture(page, `${name}-login`);
    found.push({ look: name, page: "/-/login", ...first });
    await logIn(page);
    for (const address of said.pages) {
      complaints.length = 0;
      await page.goto(said.base + address);
      const file = address.split("?")[0].replaceAll(/[^a-z0-9]+/gi, "-").replaceAll(/^-|-$/g, "") || "overview";
      await picture(page, `${name}-${file}`);
      found.push({ look: name, page: address, ...(await verdict(page)), complaints: [...complaints] });
    }
    await context.close();
  }
  return found;
}

// What axe-core finds wrong, and whether the page is wider than the window.
async function verdict(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations, passes } = await axe.run(document, { iframes: false });
    const shown = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
    const { scrollWidth, clientWidth } = document.documentElement;
    return { violations: shown, passes: passes.length, scripts: document.scripts.length, overflow: scrollWidth - clientWidth };
  });
}

try {
  const seen = await { walk, keys, judge }[process.argv[2]]();
  process.stdout.write(JSON.stringify(seen));
} finally {
  await browser.close();
}
