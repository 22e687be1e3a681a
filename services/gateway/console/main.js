// Wiring: settings, first reads, the stream, drawing at most four times a second, and saying what is stale.

import { accessToken, get, principal, renew } from "./api.js";
import { drawCharts, watchCharts } from "./charts.js";
import { askLogin, watchDialogs } from "./dialogs.js";
import { $ } from "./dom.js";
import { drawClock, drawFigures } from "./figures.js";
import { drawFleet } from "./fleet.js";
import { age, clockTime, day } from "./format.js";
import { drawRisk } from "./risk.js";
import { loadHistory, loadOrders, onData, onHalt, store } from "./store.js";
import { Stream } from "./stream.js";
import { drawOrders, drawPositions, drawSignals } from "./tables.js";

const DRAW_EVERY = 250;
const READ_EVERY = 2000;
const FEED_EVERY = 10_000;

const opened = Date.now();
let settings = { stale_seconds: 5, portfolio_id: "main", version: "", auth: "on" };
let dirty = true;
let stream;

// -- reading ----------------------------------------------------------------------------------------

// A part that cannot be read leaves its panel as it is; the fleet grid says which engine is to blame.
async function read(path, use) {
  try {
    use(await get(path));
    dirty = true;
  } catch (failure) {
    if (failure.status === 401 && !$("login-dialog").open) askLogin("This fleet shows itself to its users only.", reload);
  }
}

function reload() {
  const portfolio = encodeURIComponent(settings.portfolio_id);
  read(`/api/v1/portfolio/portfolios/${portfolio}/history?limit=20000`, (found) => loadHistory(found.items));
  read(`/api/v1/portfolio/portfolios/${portfolio}`, (found) => {
    if (found.ts_event === null || Number(store.snapshot?.ts_event ?? 0) >= found.ts_event) return;
    store.snapshot = { positions: [], ...store.snapshot, ...found, cash: found.cash_balance };
    readPositions(portfolio);
  });
  read("/api/v1/orders?limit=60", (found) => loadOrders(found.items));
  read(`/api/v1/risk/exposure/${portfolio}`, (found) => { store.exposure ??= found; });
  read("/api/v1/risk/halts", (found) => {
    store.halts.clear();
    for (const halt of found.items) onHalt({ ...halt, halted: true, target: halt.target ?? "" }, halt.ts_event);
  });
  readFeed();
  poll();
}

function readPositions(portfolio) {
  read(`/api/v1/portfolio/portfolios/${portfolio}/positions`, (found) => {
    if (!store.snapshot.positions.length) store.snapshot.positions = found.items;
  });
}

function readFeed() {
  read("/api/v1/feeds", (found) => { store.feed = found.items.find((one) => one.feed === "replay") ?? found.items[0] ?? null; });
}

function poll() {
  read("/api/v1/risk/limits", (found) => { store.limits = found.items; });
  get("/api/v1/fleet").then((found) => {
    store.fleet = found.engines;
    store.fleetError = "";
    dirty = true;
  }, (failure) => {
    store.fleetError = failure.message;
    dirty = true;
  });
}

// -- saying what is stale ---------------------------------------------------------------------------------

function drawLink() {
  const texts = { live: "live", connecting: "connecting", lost: "disconnected", login: "login needed" };
  $("link").dataset.state = stream.state;
  $("link").lastElementChild.textContent = texts[stream.state];
}

function whyStale() {
  if (stream.state === "login") return "a login is needed to follow the fleet";
  if (stream.state !== "live") {
    const left = Math.max(0, Math.ceil(((stream.retryAt ?? Date.now()) - Date.now()) / 1000));
    return stream.state === "lost" ? `${stream.reason || "the connection was lost"}; trying again in ${left} s` : "connecting again";
  }
  if (store.feed && store.feed.state !== "running") return `connected, but the feed is ${store.feed.state}`;
  return "connected, but nothing arrives";
}

function drawStale() {
  const since = stream.lastData ?? opened;
  const silent = (Date.now() - since) / 1000;
  const stale = silent > settings.stale_seconds || (stream.state !== "live" && stream.lastData !== null);
  document.body.classList.toggle("is-stale", stale);
  $("stale").hidden = !stale;
  if (stale) $("stale").textContent = `Stale since ${clockTime(since)} (${age(silent)}): ${whyStale()}`;
}

function drawHalt() {
  const halt = [...store.halts.values()].find((one) => one.scope === "all") ?? [...store.halts.values()][0];
  const everything = halt?.scope === "all";
  $("halted").hidden = !halt;
  $("halt").disabled = false;
  $("halt").textContent = everything ? "Resume trading" : "Halt trading";
  $("halt").classList.toggle("danger", !everything);
  if (halt) {
    const what = everything ? "Trading is halted" : `Halted: ${halt.scope} ${halt.target}`;
    const when = halt.ts ? ` on ${day(halt.ts)}` : "";
    $("halted").textContent = `${what}: “${halt.reason}”, ${halt.actor}${when}`;
  }
}

function drawAccount() {
  const who = principal();
  $("account").textContent = who.authenticated ? `${who.user}, log out` : "Log in";
  $("account").hidden = settings.auth === "off";
}

function draw() {
  if (!document.hidden) {
    drawLink();
    drawStale();
    drawClock();
    if (dirty) {
      dirty = false;
      for (const part of [drawFigures, drawFleet, drawRisk, drawPositions, drawOrders, drawSignals, drawHalt, drawCharts, drawAccount]) part();
    }
  }
}

// -- beginning -----------------------------------------------------------------------------------------------

async function begin() {
  settings = { ...settings, ...(await get("/console/settings.json").catch(() => ({}))) };
  await renew();
  const portfolio = settings.portfolio_id;
  stream = new Stream({
    topics: [`portfolio.snapshot.${portfolio}`, "orders.**", "strategy.signal", `risk.exposure.${portfolio}`, `risk.analytics.computed.${portfolio}`,
      `margin.status.${portfolio}`, `analytics.results.${portfolio}`, "system.halt", "system.heartbeat", "marketdata.step", "marketdata.feed.status"],
    token: accessToken,
    onState: () => { drawLink(); if (stream.state === "login") askLogin("This fleet shows itself to its users only.", () => { stream.connect(); reload(); }); },
    onOpen: reload,
    onData: (frame) => {
      onData(frame);
      dirty = true;
    },
  });
  watchCharts();
  watchDialogs(() => { dirty = true; });
  $("footer").textContent = `Nautilus ${settings.version} · portfolio ${portfolio} · times are those of the market data, UTC`;
  stream.connect();
  reload();
  setInterval(draw, DRAW_EVERY);
  setInterval(poll, READ_EVERY);
  setInterval(readFeed, FEED_EVERY);
  document.addEventListener("visibilitychange", () => { dirty = true; });
}

begin();
