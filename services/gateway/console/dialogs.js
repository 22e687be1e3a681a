// Logging in, halting, resuming: each says what it will do, and that it was done only when it was.

import { changePassword, login, logout, principal, write } from "./api.js";
import { $ } from "./dom.js";
import { onHalt, store } from "./store.js";

let changed = () => {};
let resuming = false;

function fail(id, failure) {
  $(id).textContent = failure.message;
  $(id).hidden = false;
}

// -- login ------------------------------------------------------------------------------------------

let afterLogin = null;
let first = null; // user and password that must be changed before anything else

export function askLogin(text, then = null) {
  afterLogin = then;
  first = null;
  showLogin(text, false);
}

function showLogin(text, change) {
  $("login-title").textContent = change ? "Choose a password" : "Log in";
  $("login-text").textContent = text;
  $("login-new-row").hidden = !change;
  $("login-new").required = change;
  $("login-go").textContent = change ? "Change and go on" : "Log in";
  $("login-error").hidden = true;
  if (!$("login-dialog").open) $("login-dialog").showModal();
  $(change ? "login-new" : "login-user").focus();
}

async function submitLogin(event) {
  event.preventDefault();
  $("login-error").hidden = true;
  $("login-go").disabled = true;
  try {
    if (first) {
      await changePassword($("login-password").value, $("login-new").value);
      first = null;
    } else {
      await login($("login-user").value, $("login-password").value);
    }
    if (principal().mustChange && afterLogin === null) {
      first = principal().user;
      showLogin("This is still the password of the first start. Until it is changed, all you can do is look and halt.", true);
      return;
    }
    const then = afterLogin;
    closeLogin();
    changed();
    then?.();
  } catch (failure) {
    fail("login-error", failure);
  } finally {
    $("login-go").disabled = false;
  }
}

function closeLogin() {
  $("login-password").value = "";
  $("login-new").value = "";
  $("login-dialog").close();
  afterLogin = null;
  changed();
}

// -- halt and resume ------------------------------------------------------------------------------------

export function askHalt() {
  resuming = [...store.halts.values()].some((halt) => halt.scope === "all");
  const halt = !resuming;
  $("halt-title").textContent = halt ? "Halt all trading" : "Resume trading";
  $("halt-text").textContent = halt
    ? "No order leaves the fleet any more. The halt survives restarts and lasts until an administrator lifts it."
    : "Strategies may send orders again from the next step on.";
  $("halt-cancel-row").hidden = $("halt-reducing-row").hidden = !halt;
  $("halt-sure-text").textContent = halt ? "Yes, halt the whole fleet" : "Yes, lift the halt";
  $("halt-go").textContent = halt ? "Halt trading" : "Resume trading";
  $("halt-go").classList.toggle("danger", halt);
  $("halt-reason").value = "";
  $("halt-sure").checked = false;
  $("halt-error").hidden = true;
  ready();
  $("halt-dialog").showModal();
  $("halt-reason").focus();
}

const ready = () => { $("halt-go").disabled = !($("halt-reason").value.trim() && $("halt-sure").checked); };

async function submitHalt(event) {
  event?.preventDefault();
  $("halt-error").hidden = true;
  const reason = $("halt-reason").value.trim();
  $("halt-go").disabled = true;
  try {
    if (resuming) {
      await write("/api/v1/risk/resume", { reason, scope: "all", confirm: true });
      onHalt({ halted: false, scope: "all", target: "" });
    } else {
      await write("/api/v1/risk/halt", { reason, scope: "all", cancel_orders: $("halt-cancel").checked, allow_reducing: $("halt-reducing").checked });
      onHalt({ halted: true, scope: "all", target: "", reason, actor: principal().user }, null);
    }
    $("halt-dialog").close();
    changed();
  } catch (failure) {
    if (failure.status === 401) askLogin(resuming ? "Resuming takes an administrator." : "Halting takes a trader or an administrator.", submitHalt);
    else if (failure.code === "password-change-required") askLogin("Log in, then choose a password of your own.");
    else fail("halt-error", failure);
  } finally {
    ready();
  }
}

export function watchDialogs(onChange) {
  changed = onChange;
  $("login-dialog").querySelector("form").addEventListener("submit", submitLogin);
  $("login-back").addEventListener("click", closeLogin);
  $("halt").addEventListener("click", askHalt);
  $("halt-reason").addEventListener("input", ready);
  $("halt-sure").addEventListener("change", ready);
  $("halt-back").addEventListener("click", () => $("halt-dialog").close());
  $("halt-dialog").querySelector("form").addEventListener("submit", submitHalt);
  $("account").addEventListener("click", async () => {
    if (!principal().authenticated) askLogin("");
    else {
      await logout().catch(() => {});
      changed();
    }
  });
}
