// The recorded numbers, and small helpers that every other file uses.
"use strict";

let data = JSON.parse(document.getElementById("data").textContent);

const byId = (id) => document.getElementById(id);

/** A new element: make("td", {class: "low"}, "text", child…). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Four digits: 0.01234, -1.5e-7. */
function number(x) {
  if (typeof x === "string") x = Number(x.replace("inf", "Infinity"));
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  const text = x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(3) : String(Number(x.toPrecision(4)));
  return text.replace("-", "−").replace("e−", "e−").replace("e-", "e−").replace("e+", "e");
}

/** The float32 numbers that Python's `encode` wrote. */
function decode(text) {
  return new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** The values of array number `n`, decoded when first asked for. */
function values(n) {
  const array = data.arrays[n];
  if (!(array.values instanceof Float32Array)) array.values = decode(array.values);
  return array.values;
}

/** The last two dims of array `n` at `index` of the dims before, as rows; a vector is one row. */
function rows(n, index = []) {
  const { kept } = data.arrays[n];
  const [height, width] = [kept.at(-2) ?? 1, kept.at(-1) ?? 1];
  let start = 0;
  kept.slice(0, -2).forEach((size, i) => { start = start * size + (index[i] ?? 0); });
  const all = values(n);
  return Array.from({ length: height }, (_, r) =>
    Array.from(all.subarray((start * height + r) * width, (start * height + r + 1) * width)));
}
