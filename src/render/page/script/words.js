"use strict";
// The page's charts. Everything that they show stands in the tables, too, or in the line that the cursor
// speaks: with the mouse, and with the arrow keys once a chart has the focus.

const root = document.documentElement;
const find = (id) => document.getElementById(id);
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && key !== "list") element[key] = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

// Words.
const instant = (at) => new Date(at * 1000).toISOString().slice(0, 19) + "Z";
const date = (at) => instant(at).slice(0, 10);
const count = (value) => value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
const span = (seconds) => {
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = units.findIndex(([unit]) => seconds >= unit);
  if (first < 0) return "0s";
  const [unit, name] = units[first];
  const rest = units[first + 1];
  const smaller = rest ? Math.floor(seconds % unit / rest[0]) : 0;
  return `${Math.floor(seconds / unit)}${name}` + (smaller > 0 ? ` ${smaller}${rest[1]}` : "");
};
const millis = (ms) => ms < 10000 ? `${count(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
const number = (value) => value === null || value === undefined ? "-"
  : Math.abs(value) >= 1000 ? value.toLocaleString("en-US", { maximumFractionDigits: 2 })
  : Number(value.toPrecision(6)).toString();


const source = find("facts");
const facts = source && JSON.parse(source.textContent);
