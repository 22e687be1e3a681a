// Each limit as a bar: how much of it is used, and where the warning begins.

import { $, h } from "./dom.js";
import { compact, number, percent, words } from "./format.js";
import { store } from "./store.js";

function measure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "money") return compact(value);
  return unit?.startsWith("fraction") ? percent(value) : `${number(value, 2)} ×`;
}

const TITLES = { var_limit: "value at risk", position_size: "position size", portfolio_value: "portfolio value", daily_loss: "daily loss" };

function bar(limit) {
  const used = limit.utilization;
  const width = used === null || used === undefined ? 0 : Math.min(1, Math.max(0, used));
  const why = limit.reasons?.current_value ?? "";
  const inForce = limit.limit_in_force ?? limit.limit_value;
  return h("div", { class: "limit", "data-state": limit.state, title: `${limit.limit_id}, action ${limit.action}${why ? `: ${why}` : ""}` },
    h("div", { class: "line" },
      h("span", { class: "title" }, TITLES[limit.limit_type] ?? words(limit.limit_type), limit.symbol ? ` ${limit.symbol}` : ""),
      h("span", { class: "num" }, `${measure(limit.current_value, limit.unit)} of ${measure(inForce, limit.unit)}`),
      h("span", { class: "num share" }, limit.state === "unmeasurable" ? "n/a" : percent(used, 0))),
    h("div", { class: "bar", role: "meter", "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": width, "aria-label": limit.limit_id },
      h("i", { style: { "inline-size": `${width * 100}%` } }),
      h("b", { style: { "inset-inline-start": `${limit.threshold_warning * 100}%` } })),
    why ? h("p", { class: "muted why" }, why) : null);
}

const RANK = { breached: 0, unmeasurable: 1, warning: 2, ok: 3 };

export function drawRisk() {
  const limits = store.limits;
  if (limits === null) {
    $("limits").replaceChildren(h("p", { class: "empty" }, "Waiting for the risk engine"));
  } else if (!limits.length) {
    $("limits").replaceChildren(h("p", { class: "empty" }, "No limits are set"));
  } else {
    const enabled = limits.filter((limit) => limit.enabled);
    enabled.sort((a, b) => RANK[a.state] - RANK[b.state] || (b.utilization ?? 0) - (a.utilization ?? 0));
    $("limits").replaceChildren(...enabled.map(bar));
  }
  const exposure = store.exposure ?? {};
  const values = store.risk?.values ?? {};
  const rows = [
    ["Net exposure", compact(exposure.net)],
    ["Largest position", exposure.largest_symbol ? `${exposure.largest_symbol.split(".")[0]} ${compact(exposure.largest_position)}` : "–"],
    ["VaR 99 %", compact(values.historical_var_99)],
    ["Shortfall 95 %", compact(values.historical_cvar_95)],
    ["Total margin", compact(store.margin?.total_margin)],
    ["Margin excess", compact(store.margin?.margin_excess)],
  ];
  $("measures").replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
