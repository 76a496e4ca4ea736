"use strict";
// Everything that is shown goes through `h`: texts become text nodes, and nothing is ever read as HTML.

const DATA = JSON.parse(document.getElementById("data").textContent);

// Characters that show nothing and steer what stands beside them: controls, overrides of direction, tags.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

function h(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  add(made, children);
  return made;
}

function add(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, String(value));
  return add(made, children);
}

// A text of somebody else: kept apart in direction, with characters that steer shown by their number.
function foreign(text, attributes) {
  const whole = String(text === null || text === undefined ? "" : text);
  const parts = [];
  let at = 0;
  for (const found of whole.matchAll(UNSEEN)) {
    parts.push(whole.slice(at, found.index));
    parts.push(h("span", { class: "unseen" }, "U+" + found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")));
    at = found.index + found[0].length;
  }
  parts.push(whole.slice(at));
  return h("bdi", { dir: "auto", ...attributes }, parts);
}

const NUMBER = new Intl.NumberFormat("en");
const number = (n) => NUMBER.format(n);
const plural = (n, one) => number(n) + " " + one + (n === 1 ? "" : "s");
const reasonName = (reason) => (reason || "").replaceAll("_", " ");

function share(part, whole) {
  if (!whole) return "0 %";
  const percent = (100 * part) / whole;
  return (percent > 0 && percent < 0.1 ? "<0.1" : percent.toFixed(percent < 10 ? 1 : 0)) + " %";
}

function short(value) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value) && Math.abs(value) >= 1000) return number(value);
  return String(Number(value.toPrecision(3)));
}

function table(caption, columns, rows, attributes) {
  const head = h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.right ? "right" : null }, c.name)));
  const body = rows.map((row) => h("tr", {}, row.map((cell, at) =>
    h(at ? "td" : "th", { scope: at ? null : "row", class: columns[at].right ? "right" : null }, cell))));
  const made = h("table", attributes, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body));
  return h("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption }, made);
}

function section(id, title, about, ...children) {
  return h("section", { id, "aria-labelledby": id + "-title" },
    h("h2", { id: id + "-title", tabindex: "-1" }, title), about && h("p", { class: "about" }, about), children);
}
