// What the page shows, kept from reads and from the stream. No drawing here.

const MAX_ORDERS = 60;
const MAX_SIGNALS = 40;
const MAX_POINTS = 60_000;
const DAY_SECONDS = 86_400;

export const store = {
  portfolioId: "main",
  snapshot: null, // the newest valuation
  opening: null,
  curve: { time: [], equity: [], flows: [], drawdown: [] },
  peak: 0,
  orders: new Map(),
  orderCount: 0,
  signals: [],
  limits: null,
  exposure: null,
  risk: null,
  margin: null,
  performance: null,
  halts: new Map(),
  fleet: [],
  fleetError: "",
  heartbeats: new Map(),
  feed: null,
  step: null, // {number, ts}
  pace: [],
};

const seconds = (ns) => Math.floor(Number(ns) / 1e9);

export function addPoint(ts, equity, flows) {
  const curve = store.curve;
  const time = seconds(ts);
  const last = curve.time.length - 1;
  if (last >= 0 && Math.floor(curve.time[last] / DAY_SECONDS) === Math.floor(time / DAY_SECONDS)) {
    for (const series of Object.values(curve)) series.pop();
    recallPeak();
  } else if (last >= 0 && time < curve.time[last]) {
    return;
  }
  // Deposits and withdrawals are no performance: the peak moves with them, as a fund's high-water mark does.
  const before = curve.flows.at(-1);
  if (before !== undefined) store.peak += flows - before;
  store.peak = Math.max(store.peak, equity);
  curve.time.push(time);
  curve.equity.push(equity);
  curve.flows.push(flows);
  curve.drawdown.push(store.peak > 0 ? equity / store.peak - 1 : null);
  if (curve.time.length > MAX_POINTS) for (const series of Object.values(curve)) series.splice(0, MAX_POINTS / 10);
}

// The peak before the last point, from that point's own equity and drawdown.
function recallPeak() {
  const curve = store.curve;
  const drawdown = curve.drawdown.at(-1);
  store.peak = drawdown === undefined || drawdown === null ? 0 : curve.equity.at(-1) / (1 + drawdown);
}

export function loadHistory(items) {
  store.curve = { time: [], equity: [], flows: [], drawdown: [] };
  store.peak = 0;
  for (const item of items) addPoint(item.ts_event, Number(item.equity), Number(item.net_flows));
}

export function putOrder(id, change) {
  const known = store.orders.get(id);
  store.orders.delete(id);
  store.orders.set(id, { ...known, id, ...change });
  while (store.orders.size > MAX_ORDERS) store.orders.delete(store.orders.keys().next().value);
}

export function loadOrders(items) {
  store.orders.clear();
  for (const one of [...items].reverse()) {
    putOrder(one.client_order_id, {
      ts: one.ts_updated ?? one.ts_submitted, symbol: one.symbol, side: one.side, quantity: one.quantity, type: one.order_type,
      price: one.average_price ?? one.limit_price ?? one.reference_price, state: one.state,
      note: one.reason || (one.check ? `${one.check}: ${one.value} against ${one.limit}` : ""), strategy: one.strategy_id,
    });
  }
}

const STATES = { submitted: "submitted", denied: "denied", accepted: "accepted", rejected: "rejected", cancel_requested: "pending_cancel",
  cancelled: "cancelled", expired: "expired", unknown: "unknown" };

function onOrder(kind, ts, data) {
  const id = data.client_order_id;
  if (kind === "submitted" || kind === "denied") {
    if (kind === "submitted") store.orderCount += 1;
    putOrder(id, { ts, symbol: data.symbol, side: data.side, quantity: data.quantity, type: data.order_type, price: data.limit_price ?? data.reference_price ?? null,
      state: kind, strategy: data.strategy_id, note: kind === "denied" ? `${data.check}: ${data.value} against ${data.limit}` : "" });
  } else if (kind === "filled") {
    putOrder(id, { ts, symbol: data.symbol, side: data.side, price: data.last_price, state: data.state, strategy: data.strategy_id,
      ...(store.orders.get(id)?.quantity ? {} : { quantity: data.cumulative_quantity }) });
  } else if (STATES[kind]) {
    putOrder(id, { ts, symbol: data.symbol, state: STATES[kind], strategy: data.strategy_id, ...(data.reason ? { note: data.reason } : {}) });
  }
}

export function onHalt(data, ts) {
  const key = `${data.scope}:${data.target ?? ""}`;
  if (data.halted) store.halts.set(key, { ...data, ts });
  else store.halts.delete(key);
}

export function noteStep(number, ts) {
  store.step = { number, ts };
  const now = performance.now();
  store.pace.push([now, number]);
  while (store.pace.length > 2 && now - store.pace[0][0] > 4000) store.pace.shift();
}

export function stepsPerSecond() {
  const now = performance.now();
  while (store.pace.length && now - store.pace[0][0] > 6000) store.pace.shift();
  if (store.pace.length < 2) return null;
  const [first, last] = [store.pace[0], store.pace.at(-1)];
  return last[0] - first[0] < 200 ? null : ((last[1] - first[1]) / (last[0] - first[0])) * 1000;
}

// One data frame of the stream.
export function onData({ topic, ts_event: ts, data }) {
  const [family, kind] = topic.split(".");
  if (topic.startsWith("portfolio.snapshot.")) {
    store.snapshot = { ...data, ts_event: ts };
    addPoint(ts, Number(data.equity), Number(data.net_flows));
  } else if (family === "orders") onOrder(kind, ts, data);
  else if (topic.startsWith("strategy.signal.")) {
    store.signals.unshift({ ts, ...data });
    store.signals.length = Math.min(store.signals.length, MAX_SIGNALS);
  } else if (topic.startsWith("risk.exposure.")) store.exposure = { ...data, ts_event: ts };
  else if (topic.startsWith("risk.analytics.computed.")) store.risk = { ...data, ts_event: ts };
  else if (topic.startsWith("margin.status.")) store.margin = { ...data, ts_event: ts };
  else if (topic.startsWith("analytics.results.")) store.performance = { ...data, ts_event: ts };
  else if (topic.startsWith("system.halt")) onHalt(data, ts);
  else if (topic.startsWith("system.heartbeat.")) store.heartbeats.set(data.engine, Date.now());
  else if (topic.startsWith("marketdata.feed.status.")) store.feed = { ...store.feed, ...data };
  else if (topic === "marketdata.step") noteStep(data.step, ts);
}
