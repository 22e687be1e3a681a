// Requests to the gateway. The access token lives in this module only; the refresh token is a cookie no script can read.

let token = "";
let who = { user: "anonymous", roles: [], authenticated: false };
const REMEMBER = "nautilus.session";

export class Failure extends Error {
  constructor(status, code, detail, remedy) {
    super(remedy ? `${detail} — ${remedy}` : detail);
    this.status = status;
    this.code = code;
  }
}

export async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Failure(0, "unreachable", "the gateway does not answer", "");
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  throw new Failure(answer.status, content.code ?? "", content.detail ?? `HTTP ${answer.status}`, content.remedy ?? "");
}

export const get = (path) => call("GET", path);

// A write; an access token that has run out is renewed once.
export async function write(path, body) {
  try {
    return await call("POST", path, body);
  } catch (failure) {
    if (failure.status !== 401 || !token || !(await renew())) throw failure;
    return call("POST", path, body);
  }
}

function keep(login) {
  token = login.access_token;
  who = { user: login.user, roles: login.roles, authenticated: true, mustChange: login.password_change_required };
  try { localStorage.setItem(REMEMBER, "1"); } catch { /* private windows may refuse */ }
  return who;
}

export async function login(username, password) {
  return keep(await call("POST", "/api/v1/auth/login", { username, password }));
}

export async function renew() {
  try {
    if (!localStorage.getItem(REMEMBER)) return null;
    return keep(await call("POST", "/api/v1/auth/refresh", {}));
  } catch {
    forget();
    return null;
  }
}

export async function changePassword(current, next) {
  await write("/api/v1/auth/password", { current_password: current, new_password: next });
  return login(who.user, next);
}

export async function logout() {
  try {
    await write("/api/v1/auth/logout", {});
  } finally {
    forget();
  }
}

function forget() {
  token = "";
  who = { user: "anonymous", roles: [], authenticated: false };
  try { localStorage.removeItem(REMEMBER); } catch { /* as above */ }
}

export const principal = () => who;
export const accessToken = () => token;
