// Equity and drawdown: two plots with one cursor and one range.

import { $ } from "./dom.js";
import { day, days, number, percent, ticks } from "./format.js";
import { store } from "./store.js";

const uPlot = window.uPlot;
const DAY = 86_400;

let equity;
let drawdown;
let range = 0; // days shown, 0 = all

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

function axes(share) {
  const style = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return [
    { ...style, show: !share, size: 24, space: 70, values: (_, found) => days(found) },
    { ...style, size: 62, values: (_, found) => ticks(found, share), space: share ? 26 : 34 },
  ];
}

function options(target, height, series, share) {
  return {
    width: Math.max(200, target.clientWidth), height, tzDate: utc,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "equity" }, drag: { x: true, y: false }, points: { size: 6 } },
    hooks: { setCursor: [(plot) => readOut(plot.cursor.idx)] },
    scales: { x: { time: true } },
    axes: axes(share),
    series: [{}, series],
  };
}

const heights = () => (window.innerWidth < 700 ? [190, 84] : [Math.max(180, $("equity").clientHeight - 2), Math.max(64, $("drawdown").clientHeight - 4)]);

function build() {
  equity?.destroy();
  drawdown?.destroy();
  const [high, low] = heights();
  equity = new uPlot(options($("equity"), high, {
    label: "equity", stroke: colour("--accent"), width: 1.6, fill: colour("--accent-wash"), points: { show: false },
  }, false), data("equity"), $("equity"));
  drawdown = new uPlot(options($("drawdown"), low, {
    label: "drawdown", stroke: colour("--down"), width: 1.2, fill: colour("--down-wash"), points: { show: false },
  }, true), data("drawdown"), $("drawdown"));
}

// What lies under the cursor, beside the heading; without one, nothing.
function readOut(index) {
  const [times, values] = equity?.data ?? [[], []];
  if (times.length < 2) $("equity-note").textContent = "waiting for the first valuations";
  else if (index === null || index === undefined || times[index] === undefined) $("equity-note").textContent = "";
  else $("equity-note").textContent = `${day(times[index] * 1e9)}: ${number(values[index])}, drawdown ${percent(drawdown.data[1][index], 2)}`;
}

function data(name) {
  const { time } = store.curve;
  if (!range || !time.length) return [time, store.curve[name]];
  const from = time.at(-1) - range * DAY;
  let first = 0;
  for (let high = time.length; first < high; ) {
    const middle = (first + high) >> 1;
    if (time[middle] < from) first = middle + 1;
    else high = middle;
  }
  return [time.slice(first), store.curve[name].slice(first)];
}

export function drawCharts() {
  if (!equity) build();
  equity.setData(data("equity"));
  drawdown.setData(data("drawdown"));
  readOut(equity.cursor.idx);
}

export function watchCharts() {
  for (const button of document.querySelectorAll(".ranges button")) {
    button.addEventListener("click", () => {
      range = Number(button.dataset.days);
      for (const other of document.querySelectorAll(".ranges button")) other.setAttribute("aria-pressed", String(other === button));
      drawCharts();
    });
  }
  let pending;
  const rebuild = () => {
    clearTimeout(pending);
    pending = setTimeout(() => { build(); drawCharts(); }, 120);
  };
  // Also when a banner appears above and leaves less room.
  new ResizeObserver(rebuild).observe($("equity"));
  window.matchMedia("(prefers-color-scheme: light)").addEventListener("change", rebuild);
}
