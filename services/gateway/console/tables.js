// Positions, the order blotter, signals.

import { $, h, table } from "./dom.js";
import { compact, day, number, percent, price, signed, tone, words } from "./format.js";
import { store } from "./store.js";

const short = (symbol) => symbol?.split(".")[0] ?? "–";
const quantity = (value) => number(value, Number.isInteger(Number(value)) ? 0 : 4);

const POSITIONS = [
  { title: "Symbol", text: (row) => short(row.symbol), hint: (row) => row.symbol, class: "name" },
  { title: "Quantity", text: (row) => quantity(row.quantity), class: "num" },
  { title: "Average", text: (row) => price(row.average_price), class: "num wide" },
  { title: "Mark", text: (row) => price(row.mark_price), hint: (row) => `price of ${day(row.mark_ts)}`, class: "num" },
  { title: "Value", text: (row) => compact(row.market_value), class: "num" },
  { title: "Weight", text: (row) => percent(row.weight), class: "num wide" },
  { title: "Unrealised", text: (row) => signed(row.unrealized_pnl), class: "num", tone: (row) => tone(row.unrealized_pnl) },
];

export function drawPositions() {
  const taken = store.snapshot;
  const equity = Number(taken?.equity ?? 0);
  const rows = (taken?.positions ?? [])
    .map((one) => ({ ...one, weight: equity > 0 ? Number(one.market_value) / equity : null }))
    .sort((a, b) => Math.abs(b.market_value) - Math.abs(a.market_value));
  $("positions-note").textContent = rows.length ? `${rows.length} open` : "";
  table($("positions"), POSITIONS, rows, taken ? "No open positions" : "Waiting for the first valuation");
}

const ORDERS = [
  { title: "Day", text: (row) => day(row.ts), class: "time" },
  { title: "Order", text: (row) => row.id.replace(/^strategy-0*/, "#"), hint: (row) => `${row.id} of ${row.strategy ?? "–"}`, class: "muted wide" },
  { title: "Symbol", text: (row) => short(row.symbol), hint: (row) => row.symbol, class: "name" },
  { title: "Side", text: (row) => row.side ?? "–", class: "side", tone: (row) => (row.side === "buy" ? "up" : row.side === "sell" ? "down" : "") },
  { title: "Quantity", text: (row) => quantity(row.quantity), class: "num" },
  { title: "Price", text: (row) => price(row.price), class: "num" },
  { title: "State", text: (row) => h("span", { class: `state ${row.state}`, title: row.note || null }, words(row.state)), class: "states" },
];

export function drawOrders() {
  const rows = [...store.orders.values()].reverse();
  const working = rows.filter((row) => ["submitted", "accepted", "partially_filled", "pending_cancel"].includes(row.state)).length;
  $("orders-note").textContent = rows.length ? `newest ${rows.length}, ${working} working` : "";
  table($("orders"), ORDERS, rows, "No orders yet");
}

export function drawSignals() {
  const rows = store.signals.map((one) =>
    h("li", {}, h("div", {}, h("b", { class: one.side === "buy" ? "up" : one.side === "sell" ? "down" : "" }, one.side), " ",
      h("span", { class: "name" }, short(one.symbol)), h("time", {}, day(one.ts))),
    h("p", { class: "muted", title: `${one.strategy_id}: ${one.reason}` }, h("span", {}, words(one.strategy_id)), one.reason ? ` · ${one.reason}` : "")));
  $("signals").replaceChildren(...(rows.length ? rows : [h("li", { class: "empty" }, "None since this page was opened")]));
}
