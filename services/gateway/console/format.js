// Numbers and times as people read them. What is missing is a dash, never a zero.

const DASH = "–";

const finite = (value) => value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));

const cache = new Map();
function formatter(digits, extra = {}) {
  const key = `${digits}${JSON.stringify(extra)}`;
  if (!cache.has(key)) {
    cache.set(key, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits, ...extra }));
  }
  return cache.get(key);
}

// A true minus sign, and none before what is rounded to nothing.
const minus = (text) => (/[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", ""));

export function number(value, digits = 0) {
  return finite(value) ? minus(formatter(digits).format(Number(value))) : DASH;
}

export function signed(value, digits = 0) {
  return finite(value) ? minus(formatter(digits, { signDisplay: "exceptZero" }).format(Number(value))) : DASH;
}

export function percent(value, digits = 1) {
  return finite(value) ? `${minus(formatter(digits).format(Number(value) * 100))} %` : DASH;
}

export function signedPercent(value, digits = 1) {
  return finite(value) ? `${signed(Number(value) * 100, digits)} %` : DASH;
}

// 1 313 000 as 1.31 M: for bars and tiles, where the exact figure stands elsewhere.
export function compact(value) {
  if (!finite(value)) return DASH;
  const size = Math.abs(Number(value));
  if (size >= 1e9) return `${number(value / 1e9, 2)} B`;
  if (size >= 1e6) return `${number(value / 1e6, 2)} M`;
  if (size >= 1e4) return `${number(value / 1e3, 1)} k`;
  return number(value, 0);
}

// Ticks of an axis: as many digits as it takes to tell neighbours apart.
export function ticks(values, share) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
  const size = Math.max(...values.map(Math.abs));
  const [unit, sign] = share ? [0.01, " %"] : size >= 1e9 ? [1e9, " B"] : size >= 1e6 ? [1e6, " M"] : size >= 1e4 ? [1e3, " k"] : [1, ""];
  let digits = 0;
  for (let part = step / unit; digits < 6 && Math.abs(part - Math.round(part)) > 1e-6; part *= 10) digits += 1;
  return values.map((value) => `${number(value / unit, digits)}${sign}`);
}

export function days(values) {
  const span = values.length > 1 ? values.at(-1) - values[0] : 0;
  const [from, to] = span > 4 * 365 * 86_400 ? [0, 4] : span > 150 * 86_400 ? [0, 7] : [5, 10];
  return values.map((value) => new Date(value * 1000).toISOString().slice(from, to));
}

export function price(value) {
  if (!finite(value)) return DASH;
  return number(value, Math.abs(Number(value)) < 10 ? 4 : 2);
}

// UNIX nanoseconds exceed what a double holds exactly; to a microsecond they are right, and a day is all we show.
const date = (ns) => new Date(Number(ns) / 1e6);

export function day(ns) {
  return ns ? date(ns).toISOString().slice(0, 10) : DASH;
}

export function dayAndTime(ns) {
  return ns ? date(ns).toISOString().slice(0, 16).replace("T", " ") : DASH;
}

export function clockTime(milliseconds) {
  const moment = new Date(milliseconds);
  const two = (part) => String(part).padStart(2, "0");
  return `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

export function age(seconds) {
  if (!finite(seconds)) return DASH;
  if (seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 120) return `${number(seconds)} s`;
  if (seconds < 7200) return `${number(seconds / 60)} min`;
  return `${number(seconds / 3600)} h`;
}

export const tone = (value) => (!finite(value) || Number(value) === 0 ? "" : Number(value) > 0 ? "up" : "down");

export const words = (name) => name.replaceAll("_", " ").replaceAll("-", " ");
