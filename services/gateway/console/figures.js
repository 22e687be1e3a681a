// The strip of figures, and the clock in the header.

import { $, h } from "./dom.js";
import { compact, day, number, percent, signed, signedPercent, tone } from "./format.js";
import { stepsPerSecond, store } from "./store.js";

function tile(label, value, note, className = "", hint) {
  return h("div", { class: "figure", title: hint }, h("span", { class: "label" }, label), h("span", { class: `value ${className}` }, value), h("span", { class: "note" }, note));
}

export function drawFigures() {
  const taken = store.snapshot;
  const currency = taken?.base_currency ?? "";
  const gain = taken ? Number(taken.equity) - Number(taken.net_flows) : null;
  const gained = taken && Number(taken.net_flows) > 0 ? gain / Number(taken.net_flows) : null;
  const before = taken ? Number(taken.equity) - Number(taken.pnl_day) : 0;
  const drawdown = store.exposure?.drawdown ?? null;
  const sharpe = store.performance?.metrics?.sharpe_ratio;
  const volatility = store.performance?.metrics?.annual_volatility;
  const valueAtRisk = store.risk?.values?.historical_var_95;
  $("figures").replaceChildren(
    tile("Equity", number(taken?.equity), taken ? `${currency}, cash ${compact(taken.cash)}` : "not valued yet", "strong"),
    tile("P&L of the day", signed(taken?.pnl_day), taken && before > 0 ? signedPercent(Number(taken.pnl_day) / before, 2) : "", tone(taken?.pnl_day)),
    tile("Since inception", signed(gain), gained === null ? "" : signedPercent(gained), tone(gain), "equity less deposits and withdrawals"),
    tile("Drawdown", drawdown === null ? "–" : percent(-drawdown, 2), taken ? `peak ${compact(taken.peak_equity)}` : "", drawdown > 0 ? "down" : ""),
    tile("Gross exposure", compact(taken?.gross), store.exposure?.leverage == null ? "" : `${number(store.exposure.leverage, 2)} × equity`),
    tile("VaR 95 %, 1 day", compact(valueAtRisk), valueAtRisk == null ? (store.risk?.missing?.historical_var_95 ?? "") : `${store.risk.observations} days of history`),
    tile("Margin used", percent(store.margin?.margin_utilization), store.margin ? store.margin.state : "", store.margin && store.margin.state !== "ok" ? "warn" : ""),
    tile("Sharpe ratio", number(sharpe, 2), volatility == null ? "" : `volatility ${percent(volatility)}`),
  );
}

export function drawClock() {
  const ts = store.step?.ts ?? store.snapshot?.ts_event ?? null;
  $("clock").textContent = day(ts);
  const feed = store.feed;
  const pace = stepsPerSecond();
  const parts = [];
  if (feed) parts.push(feed.state);
  if (pace !== null && feed?.state === "running") parts.push(`${number(pace, pace < 10 ? 1 : 0)} steps/s`);
  $("pace").textContent = parts.join(", ");
  $("clock-label").textContent = feed?.feed === "replay" ? "replayed day" : "market time";
  const share = feed?.steps_total && store.step ? Math.min(1, store.step.number / feed.steps_total) : null;
  $("progress").hidden = share === null;
  if (share !== null) {
    $("progress").title = `${number(store.step.number)} of ${number(feed.steps_total)} timestamps`;
    $("progress").firstElementChild.style.setProperty("inline-size", `${share * 100}%`);
  }
}

