// One tile an engine: state, lag, age of its last input.

import { $, h } from "./dom.js";
import { age, number } from "./format.js";
import { store } from "./store.js";

export function drawFleet() {
  if (store.fleetError) {
    $("fleet").replaceChildren(h("p", { class: "empty error" }, `The gateway says nothing of the fleet: ${store.fleetError}`));
    return;
  }
  if (!store.fleet.length) {
    $("fleet").replaceChildren(h("p", { class: "empty" }, "Waiting for the fleet"));
    return;
  }
  $("fleet").replaceChildren(...store.fleet.map(tile));
}

function tile(one) {
  const lag = one.lag_events === null || one.lag_events === undefined ? "" : `lag ${number(one.lag_events)}`;
  const heard = one.role === "tail" ? one.heartbeat_age_seconds : one.last_event_age_seconds;
  const last = one.state === "unreachable" ? "not answering" : heard === null || heard === undefined ? "no input yet" : one.role === "tail" ? `heard ${age(heard)} ago` : heard < 0.5 ? "input now" : `input ${age(heard)} ago`;
  const hint = [one.reason, `epoch ${one.epoch ?? "–"}`, `version ${one.version ?? "–"}`,
    one.last_event_topic ? `last input ${one.last_event_topic}` : "", `breaker ${one.breaker}`].filter(Boolean).join("\n");
  return h("div", { class: "engine", "data-state": one.state, "data-engine": one.engine, title: hint },
    h("i", { "aria-hidden": "true" }), h("span", { class: "name" }, one.engine), h("span", { class: "status" }, one.state),
    h("span", { class: "muted" }, [last, lag].filter(Boolean).join(", ")));
}
