"use strict";
// The page's charts. Everything that they show stands in the tables, too, or in the line that the cursor
// speaks: with the mouse, and with the arrow keys once a chart has the focus.
(() => {
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

  // Colours and themes.
  const probe = document.body.appendChild(make("span", { hidden: true }));
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const draws = [];
  const redraw = () => draws.forEach((draw) => draw());
  const themes = ["system", "light", "dark"];
  const button = find("theme");
  const held = () => { try { return localStorage.getItem("mdctl-theme"); } catch { return null; } };
  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    button.dataset.now = theme;
    try { localStorage.setItem("mdctl-theme", theme); } catch { /* it is not to be remembered */ }
  };
  setTheme(themes.includes(held()) ? held() : "system");
  button.hidden = false;
  button.addEventListener("click", () => {
    setTheme(themes[(themes.indexOf(button.dataset.now) + 1) % themes.length]);
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  const source = find("facts");
  if (!source) return;
  const facts = JSON.parse(source.textContent);

  // A line that says where the cursor is, for eyes and for screen readers.
  const readout = (usual) => {
    const line = make("output", { className: "readout" }, usual);
    line.setAttribute("aria-live", "polite");
    return { line, say: (text) => { const next = text ?? usual; if (line.textContent !== next) line.textContent = next; } };
  };

  // A canvas of cells in rows and columns, with a cursor.
  const cells = (label, { shape, paint, tell, moved }) => {
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const box = make("div", { className: "map", tabIndex: 0 }, canvas);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${label}; arrow keys move through it`);
    let at = null;
    let now = null;
    const draw = () => {
      const width = box.clientWidth || box.parentElement.clientWidth;
      if (!width) return;
      now = shape(width);
      const dense = window.devicePixelRatio || 1;
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(now.height * dense);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${now.height}px`;
      const context = canvas.getContext("2d");
      context.scale(dense, dense);
      paint(context, now);
      if (at) {
        const [x, y, w, h] = now.place(at);
        context.strokeStyle = colour("ink");
        context.lineWidth = 2;
        context.strokeRect(x - 1, y - 1, w + 2, h + 2);
      }
    };
    const go = (next) => {
      at = next;
      draw();
      if (next) tell(next); else moved?.();
    };
    canvas.addEventListener("pointermove", (event) => {
      const area = canvas.getBoundingClientRect();
      const hit = now?.hit(event.clientX - area.left, event.clientY - area.top);
      if (hit && !(at && hit.row === at.row && hit.column === at.column)) go(hit);
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Escape") { go(null); return; }
      if (!step || !now) return;
      event.preventDefault();
      const next = at ? { row: at.row + step[0], column: at.column + step[1] } : { row: 0, column: 0 };
      if (now.holds(next)) go(next);
    });
    draws.push(draw);
    return { box, go, draw };
  };

  // Freshness: with names where there is room for them, else a band a timeframe.
  const freshness = () => {
    const home = find("freshness-map");
    const { timeframes, symbols, cells: states } = facts.freshness;
    if (!home || !symbols.length) return;
    const words = { F: "fresh", A: "aging", S: "stale", M: "missing", ".": "no such series" };
    const { line, say } = readout("Point at a cell, or move through a map with the arrow keys.");
    const tint = () => ({ F: colour("good-soft"), a: colour("warn-soft"), A: colour("aging"), S: colour("stale"), M: colour("missing"), ink: colour("ink"), good: colour("good"), muted: colour("muted"), panel: colour("panel"), dark: colour("aging") });
    const fill = (context, tints, state, x, y, w, h, lettered) => {
      if (state === ".") return;
      if (state === "M") {
        context.strokeStyle = tints.M;
        context.lineWidth = w > 8 ? 1.5 : 1;
        context.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
        if (!lettered) {
          context.beginPath();
          context.moveTo(x + 1, y + 1); context.lineTo(x + w - 1, y + h - 1);
          context.stroke();
        }
      } else if (state === "A") {
        context.fillStyle = tints.a;
        context.fillRect(x, y, w, h);
        context.fillStyle = tints.A;
        context.fillRect(x, y + Math.floor(h / 2), w, Math.ceil(h / 2));
      } else {
        context.fillStyle = tints[state];
        context.fillRect(x, y, w, h);
      }
      if (lettered) {
        context.fillStyle = { F: tints.good, A: tints.ink, S: "#fff", M: tints.M }[state];
        context.fillText(state, x + w / 2, y + h / 2 + 0.5);
      }
    };
    const tell = (symbol, column) => say(`${symbols[symbol]} ${timeframes[column]}: ${words[states[symbol][column]]}`);
    const maps = [];
    const named = symbols.length <= 240;
    if (named) {
      const cell = 18;
      const longest = Math.min(14, Math.max(...symbols.map((symbol) => symbol.length)));
      const name = longest * 7.4 + 8;
      const block = name + timeframes.length * (cell + 2) + 22;
      const map = cells("Freshness of every series", {
        shape: (width) => {
          const across = Math.max(1, Math.min(Math.floor((width + 22) / block), Math.ceil(symbols.length / 4)));
          const down = Math.ceil(symbols.length / across);
          const place = ({ row, column }) => {
            const x = Math.floor(row / down) * block + name + column * (cell + 2);
            return [x, 20 + (row % down) * (cell + 2), cell, cell];
          };
          const holds = ({ row, column }) => row >= 0 && row < symbols.length && column >= 0 && column < timeframes.length;
          const hit = (x, y) => {
            const at = { row: Math.floor(x / block) * down + Math.floor((y - 20) / (cell + 2)), column: Math.floor((x % block - name) / (cell + 2)) };
            return y >= 20 && Math.floor((y - 20) / (cell + 2)) < down && holds(at) ? at : null;
          };
          return { height: 20 + down * (cell + 2), across, down, place, holds, hit };
        },
        paint: (context, { across, down, place }) => {
          const tints = tint();
          context.textBaseline = "middle";
          for (let part = 0; part < across && part * down < symbols.length; part++) {
            context.font = "11px system-ui, sans-serif";
            context.fillStyle = tints.muted;
            context.textAlign = "center";
            timeframes.forEach((timeframe, column) => {
              const [x] = place({ row: part * down, column });
              context.fillText(timeframe, x + cell / 2, 9);
            });
          }
          symbols.forEach((symbol, row) => {
            const [x, y] = place({ row, column: 0 });
            context.font = "12px system-ui, sans-serif";
            context.textAlign = "right";
            context.fillStyle = tints.ink;
            const shown = symbol.length > 14 ? symbol.slice(0, 13) + "\u2026" : symbol;
            context.fillText(shown, x - 8, y + cell / 2, name - 8);
            context.font = "600 11px system-ui, sans-serif";
            context.textAlign = "center";
            timeframes.forEach((_, column) => {
              const [left, top, w, h] = place({ row, column });
              fill(context, tints, states[row][column], left, top, w, h, true);
            });
          });
        },
        tell: ({ row, column }) => tell(row, column),
      });
      home.append(map.box);
      maps.push({ map, of: (symbol) => ({ row: symbol, column: 0 }) });
    } else {
      timeframes.forEach((timeframe, index) => {
        const tally = { F: 0, A: 0, S: 0, M: 0, ".": 0 };
        states.forEach((state) => tally[state[index]]++);
        let across = 1;
        const map = cells(`Freshness at ${timeframe}, a cell a symbol`, {
          shape: (width) => {
            const pitch = symbols.length > 2000 ? 7 : 9;
            across = Math.floor((width + 1) / pitch);
            const of = ({ row, column }) => row * across + column;
            const holds = (at) => at.row >= 0 && at.column >= 0 && at.column < across && of(at) < symbols.length;
            const hit = (x, y) => {
              const at = { row: Math.floor(y / pitch), column: Math.floor(x / pitch) };
              return holds(at) ? at : null;
            };
            const place = ({ row, column }) => [column * pitch, row * pitch, pitch - 1, pitch - 1];
            return { height: Math.ceil(symbols.length / across) * pitch, place, holds, hit };
          },
          paint: (context, { place }) => {
            const tints = tint();
            states.forEach((state, symbol) => {
              const [x, y, w, h] = place({ row: Math.floor(symbol / across), column: symbol % across });
              fill(context, tints, state[index], x, y, w, h, false);
            });
          },
          tell: ({ row, column }) => tell(row * across + column, index),
        });
        const sums = ["S", "M", "A", "F"].filter((state) => tally[state]).map((state) => `${count(tally[state])} ${words[state]}`);
        const head = make("p", {}, make("b", {}, timeframe), ` ${sums.join(", ")}`);
        home.append(make("div", { className: "band" }, head, map.box));
        maps.push({ map, of: (symbol) => ({ row: Math.floor(symbol / across), column: symbol % across }) });
      });
    }
    if (symbols.length > 20) {
      const input = make("input", { type: "search", placeholder: "a symbol", autocomplete: "off", spellcheck: false, size: 12 });
      input.addEventListener("input", () => {
        const sought = input.value.trim().toUpperCase();
        const symbol = sought ? symbols.findIndex((name) => name.toUpperCase().startsWith(sought)) : -1;
        maps.forEach(({ map, of }) => map.go(symbol < 0 ? null : of(symbol)));
        if (!sought) say();
        else if (symbol < 0) say(`No symbol begins with ${input.value.trim()}.`);
        else say(`${symbols[symbol]}: ` + timeframes.map((timeframe, column) => `${timeframe} ${words[states[symbol][column]]}`).join(", "));
      });
      home.prepend(make("div", { className: "controls" }, make("label", {}, "Find ", input), make("span", { className: "none" }, `${counted(symbols.length, "symbol")} in the order of the config`)));
    }
    home.append(line);
  };

  // Coverage: the series that lack most, below all of them together.
  const coverage = () => {
    const home = find("coverage-map");
    if (!home) return;
    const parts = facts.coverage.filter((part) => part.maps.length);
    if (!parts.length) {
      home.append(make("p", {}, "Nothing is due yet."));
      return;
    }
    const letters = facts.reasons.map(([, letter]) => letter);
    const { line, say } = readout("Point at a cell, or move through the map with the arrow keys.");
    const holder = make("div");
    const said = make("p", { className: "note" });
    const holes = (one) => one.maps[0].holes.reduce((sum, each) => sum + each, 0);
    let part = parts.find((one) => holes(one) > 0) ?? parts[0];
    let map = part.maps[0];
    const stretch = (index) => {
      const start = date(map.starts[index]);
      return map.unit === "day" ? start : `${map.unit} from ${start}`;
    };
    const grid = cells("What is stored of what was due", {
      shape: (width) => {
        const cell = 17;
        const longest = Math.max(3, ...map.symbols.map((symbol) => symbol.length));
        const name = Math.min(longest, width < 500 ? 9 : 14) * 7.4 + 10;
        const pitch = Math.min(40, (width - name) / map.starts.length);
        const top = 40;
        const place = ({ row, column }) => [name + column * pitch, row < 0 ? 0 : row === 0 ? 4 : top + (row - 1) * cell, Math.max(1, pitch - 1), row === 0 ? 26 : cell - 1];
        const holds = ({ row, column }) => row >= 0 && row <= map.symbols.length && column >= 0 && column < map.starts.length;
        const hit = (x, y) => {
          const at = { row: y < 34 ? 0 : Math.floor((y - top) / cell) + 1, column: Math.floor((x - name) / pitch) };
          return x >= name && (y < 34 || y >= top) && holds(at) ? at : null;
        };
        return { height: top + map.symbols.length * cell + 20, place, holds, hit, name, pitch, cell, top };
      },
      paint: (context, { place, name, pitch, cell, top, height }) => {
        const tints = letters.map((_, index) => colour(`r${index}`));
        const [good, ink, muted, line, sunk, dark] = ["good-soft", "ink", "muted", "line", "sunk", "panel"].map(colour);
        context.textBaseline = "middle";
        context.font = "12px system-ui, sans-serif";
        context.textAlign = "right";
        context.fillStyle = ink;
        context.fillText("all", name - 8, 17);
        map.starts.forEach((_, column) => {
          const [x, y, w, h] = place({ row: 0, column });
          context.fillStyle = map.due[column] ? good : sunk;
          context.fillRect(x, y, w, h);
          let base = y + h;
          map.missing[column].forEach((missing, reason) => {
            if (!missing || !map.due[column]) return;
            const part = Math.max(1, h * missing / map.due[column]);
            context.fillStyle = tints[reason];
            context.fillRect(x, base - part, w, part);
            base -= part;
          });
        });
        map.symbols.forEach((symbol, index) => {
          const row = index + 1;
          const most = Math.floor((name - 10) / 7.4);
          context.font = "12px system-ui, sans-serif";
          context.textAlign = "right";
          context.fillStyle = ink;
          context.fillText(symbol.length > most ? symbol.slice(0, most - 1) + "\u2026" : symbol, name - 8, top + index * cell + cell / 2, name - 8);
          context.font = "600 10px system-ui, sans-serif";
          context.textAlign = "center";
          const lacking = new Map(map.lacking[index].map(([column, missing, due]) => [column, [missing, due]]));
          for (let column = 0; column < map.starts.length; column++) {
            const state = map.cells[index][column];
            const [x, y, w, h] = place({ row, column });
            if (state === ".") { context.fillStyle = line; context.fillRect(x + w / 2 - 0.5, y + h / 2 - 0.5, 1, 1); continue; }
            context.fillStyle = good;
            context.fillRect(x, y, w, h);
            const lack = lacking.get(column);
            if (state === "=") continue;
            const reason = letters.indexOf(state);
            const part = !lack ? h : Math.min(h - 2, Math.max(2, Math.round(h * lack[0] / lack[1])));
            context.fillStyle = tints[reason];
            context.globalAlpha = part < h && part > 4 ? 0.5 : 1;
            context.fillRect(x, y + h - part, w, part);
            context.globalAlpha = 1;
            if (pitch >= 9) {
              context.fillStyle = part < h || reason > 3 ? ink : "#fff";
              context.fillText(state, x + w / 2, y + h / 2 + 0.5);
            }
          }
        });
        context.font = "11px system-ui, sans-serif";
        context.fillStyle = muted;
        context.textAlign = "left";
        let free = 0;
        map.starts.forEach((start, column) => {
          const [x] = place({ row: 0, column });
          const text = map.unit === "day" ? date(start).slice(5) : map.unit === "week" ? date(start) : date(start).slice(0, 7);
          const width = context.measureText(text).width;
          if (x < free || x + width > name + pitch * map.starts.length) return;
          context.fillText(text, x, height - 8);
          context.fillRect(x, height - 18, 1, 3);
          free = x + width + 14;
        });
      },
      tell: ({ row, column }) => {
        if (row === 0) {
          const lacks = facts.reasons.map(([word], reason) => [word, map.missing[column][reason]]).filter(([, missing]) => missing);
          const text = lacks.map(([word, missing]) => `${count(missing)} ${word}`).join(", ");
          say(`All series, ${stretch(column)}: ${counted(map.due[column], "bar")} due, ${text || "none missing"}`);
          return;
        }
        const symbol = map.symbols[row - 1];
        const state = map.cells[row - 1][column];
        const lack = map.lacking[row - 1].find(([at]) => at === column);
        const word = facts.reasons[letters.indexOf(state)]?.[0];
        const text = state === "." ? "nothing due" : state === "=" ? "complete" : lack ? `${count(lack[1])} of ${counted(lack[2], "due bar")} missing, most of them ${word}` : `every due bar missing, most of them ${word}`;
        say(`${symbol} ${part.timeframe}, ${stretch(column)}: ${text}`);
      },
    });
    const table = make("tbody");
    const show = () => {
      grid.go(null);
      say();
      const shown = map.symbols.length;
      said.textContent = shown < part.series
        ? `The ${shown} series that lack most, of ${count(part.series)} at ${part.timeframe}, and all of them together above; mdctl gaps lists every gap.`
        : `All ${counted(part.series, "series").replace(/seriess$/, "series")} at ${part.timeframe}, those that lack most first, and together above.`;
      table.replaceChildren(...map.symbols.map((symbol, index) => make("tr", {},
        make("th", { scope: "row" }, symbol), make("td", { className: "n" }, count(map.holes[index])), make("td", { className: "n" }, count(map.explained[index])))));
    };
    const select = make("select");
    parts.forEach(({ timeframe }, index) => select.append(make("option", { value: index, selected: parts[index] === part }, timeframe)));
    const spans = make("fieldset", {}, make("legend", {}, "Time"));
    const choose = () => {
      spans.replaceChildren(spans.firstChild);
      part.maps.forEach((one, index) => {
        const days = Math.round((one.end - one.starts[0]) / 86400);
        const text = part.maps.length > 1 && index === 0 ? "last days" : `all of it, by ${one.unit}`;
        const radio = make("input", { type: "radio", name: "coverage-time", checked: index === 0 });
        radio.addEventListener("change", () => { map = one; show(); });
        spans.append(make("label", { title: `${days} days` }, radio, text));
      });
      map = part.maps[0];
      show();
    };
    select.addEventListener("change", () => { part = parts[Number(select.value)]; choose(); });
    home.append(make("div", { className: "controls" }, make("label", {}, "Timeframe ", select), spans), said, grid.box, line,
      make("details", {}, make("summary", {}, "These series as a table"), make("div", { className: "scroll" }, make("table", {}, make("caption", {}, make("span", {}, "What the series in the map lack in all of its time")),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Symbol"), make("th", { scope: "col", className: "n" }, "Missing bars"), make("th", { scope: "col", className: "n" }, "Missing, and no hole"))), table))));
    choose();
  };

  // uPlot with our colours, a cursor for the keyboard, and a line that speaks.
  const plot = (home, label, { options, data, tell, height, usual, line: given, quietly }) => {
    const box = make("div", { className: "plot", tabIndex: quietly ? -1 : 0 });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${label}; arrow keys move the cursor`);
    const { line, say } = given ?? readout(usual);
    home.append(box);
    if (!given) home.append(line);
    let chart = null;
    const draw = () => {
      const width = box.clientWidth;
      if (!width) return;
      const index = chart?.cursor.idx;
      chart?.destroy();
      const settings = options(width);
      chart = new uPlot({
        width, height: height(width), padding: [10, 14, 0, 0], legend: { show: false },
        ...settings,
        cursor: { points: { show: false }, y: false, drag: { x: false, y: false }, ...settings.cursor },
        hooks: { ...settings.hooks, setCursor: [(one) => { const at = one.cursor.idx; if (at !== null && at !== undefined) say(tell(at)); }] },
      }, data(), box);
      if (index !== null && index !== undefined && index >= 0) move(index);
      box.querySelector("canvas")?.setAttribute("aria-hidden", "true");
    };
    const move = (index) => {
      const left = chart.valToPos(chart.data[0][index], "x");
      chart.setCursor({ left, top: 10 });
    };
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      if (!step || !chart) return;
      event.preventDefault();
      const [min, max] = chart.series[0].idxs;
      const last = chart.cursor.idx;
      const next = last === null || last === undefined ? max : last + step;
      move(Math.max(min, Math.min(max, next)));
    });
    draw();
    return draw;
  };
  const axis = (more) => ({ stroke: colour("muted"), font: "11px system-ui, sans-serif", grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, ...more });
  const days = () => axis({ size: 26, grid: { show: false }, space: 64, values: (_, splits) => splits.map((at) => date(at).slice(5)) });
  // Round numbers of a logarithmic scale: three a decade, or one where there are many.
  const round = (least, most) => {
    const all = [];
    for (let decade = 1; decade < most; decade *= 10) for (const step of [1, 2, 5]) all.push(step * decade);
    const inside = all.filter((value) => value >= least && value <= most);
    return inside.length > 7 ? inside.filter((value) => /^10*$/.test(String(value))) : inside;
  };
  const utc = (at) => new Date((at + new Date(at * 1000).getTimezoneOffset() * 60) * 1000);

  const runs = () => {
    const home = find("runs-chart");
    const { at, took, outcome, outcomes, command, failed, jobs, since } = facts.runs;
    if (!home || !at.length) return;
    const tones = { succeeded: "good", running: "accent", partial: "aging", deferred: "aging", skipped: "muted", failed: "stale", interrupted: "stale", crashed: "stale" };
    const mark = (context, word, x, y, size) => {
      const r = size;
      context.beginPath();
      if (word === "succeeded" || word === "skipped") context.arc(x, y, r * 0.8, 0, 7);
      else if (word === "partial") { context.moveTo(x, y - r); context.lineTo(x + r, y + r * 0.8); context.lineTo(x - r, y + r * 0.8); context.closePath(); }
      else if (word === "deferred") { context.moveTo(x, y - r); context.lineTo(x + r, y); context.lineTo(x, y + r); context.lineTo(x - r, y); context.closePath(); }
      else if (word === "interrupted") context.rect(x - r * 0.8, y - r * 0.8, r * 1.6, r * 1.6);
      else if (word === "running") { context.moveTo(x - r * 0.7, y - r); context.lineTo(x + r, y); context.lineTo(x - r * 0.7, y + r); context.closePath(); }
      else { context.moveTo(x - r, y - r); context.lineTo(x + r, y + r); context.moveTo(x + r, y - r); context.lineTo(x - r, y + r); }
      if (word === "failed" || word === "crashed" || word === "skipped") context.stroke(); else context.fill();
    };
    const values = took.map((seconds) => Math.max(1, seconds ?? 1));
    const last = at.reduce((most, one) => Math.max(most, one), since);
    home.append(make("p", { className: "note" }, "How long each run took, on a logarithmic scale. A run that took less than a second, or never said how long, stands on the lowest line."));
    draws.push(plot(home, "Runs over time by how long they took", {
      height: () => 190,
      usual: "Point at a run, or move from run to run with the arrow keys.",
      data: () => [at, values],
      options: () => ({
        tzDate: utc,
        scales: { x: { time: true, range: [since, Math.max(last + 43200, since + 86400)] }, y: { distr: 3, range: (_, __, most) => [0.8, Math.max(60, most * 1.6)] } },
        axes: [days(), axis({ size: 46, filter: (_, splits) => splits, values: (_, splits) => splits.map(span), splits: (_, __, least, most) => [1, 10, 60, 600, 3600, 36000].filter((value) => value >= least && value <= most) })],
        series: [{}, { stroke: "transparent", paths: () => null, points: { show: false } }],
        hooks: { draw: [(chart) => {
          const context = chart.ctx;
          const dense = window.devicePixelRatio || 1;
          context.save();
          context.lineWidth = 1.8 * dense;
          const tints = Object.fromEntries(Object.entries(tones).map(([word, tone]) => [word, colour(tone)]));
          const order = [...at.keys()].sort((a, b) => (tones[outcomes[outcome[a]]] === "good" ? 0 : 1) - (tones[outcomes[outcome[b]]] === "good" ? 0 : 1));
          for (const index of order) {
            const word = outcomes[outcome[index]];
            context.strokeStyle = context.fillStyle = tints[word];
            context.globalAlpha = word === "succeeded" ? 0.55 : 1;
            mark(context, word, chart.valToPos(at[index], "x", true), chart.valToPos(values[index], "y", true), (word === "succeeded" ? 2.6 : 4) * dense);
          }
          context.restore();
        }] },
      }),
      tell: (index) => `${instant(at[index])} ${command[index]}: ${outcomes[outcome[index]]}, ${took[index] === null ? "never said how long it took" : `took ${span(took[index])}`}, ${failed[index] ? `${count(failed[index])} of ${counted(jobs[index], "job")} failed` : counted(jobs[index], "job")}`,
    }));
  };

  const requests = () => {
    const { days: at, total, p50, p95, p99, kinds, failed } = facts.requests;
    const home = find("latency-chart");
    if (home) {
      const names = ["half within", "95 % within", "99 % within"];
      const dash = [[], [6, 4], [2, 3]];
      home.append(make("ul", { className: "legend" }, ...names.map((name, index) => make("li", {}, make("span", { className: `swatch d${index} c${index}` }), name))));
      draws.push(plot(home, "Response time by day", {
        height: () => 200,
        usual: "Days without requests have no times, and no line is drawn across them.",
        data: () => [at, p50, p95, p99],
        options: () => ({
          tzDate: utc,
          scales: { x: { time: true }, y: { distr: 3, range: (_, least, most) => least ? [Math.max(0.5, least / 1.6), most * 1.6] : [1, 1000] } },
          axes: [days(), axis({ size: 66, filter: (_, splits) => splits, values: (_, splits) => splits.map(millis), splits: (_, __, least, most) => round(least, most) })],
          series: [{}, ...names.map((label, index) => ({ label, spanGaps: false, stroke: colour(`c${index}`), width: 1.75, dash: dash[index], points: { show: true, size: 5, fill: colour(`c${index}`) } }))],
        }),
        tell: (index) => `${date(at[index])}: ` + (total[index] ? `${counted(total[index], "request")}, half within ${millis(p50[index])}, 95 % within ${millis(p95[index])}, 99 % within ${millis(p99[index])}` : "no requests"),
      }));
    }
    const other = find("errors-chart");
    if (other) {
      const shown = kinds.length > 6 ? 5 : kinds.length;
      const names = kinds.slice(0, shown);
      const stacks = failed.slice(0, shown).map((list) => [...list]);
      if (kinds.length > shown) {
        names.push(`${kinds.length - shown} other kinds`);
        stacks.push(at.map((_, day) => failed.slice(shown).reduce((sum, list) => sum + list[day], 0)));
      }
      const sums = at.map((_, day) => stacks.reduce((sum, list) => sum + list[day], 0));
      other.append(make("ul", { className: "legend" }, ...names.map((name, index) => make("li", {}, make("span", { className: `swatch block c${index}` }), `${index + 1} ${name}`))));
      draws.push(plot(other, "Failed requests by day and kind", {
        height: () => 200,
        usual: "The number in a part of a bar is that of its kind above.",
        data: () => [at, sums],
        options: () => ({
          tzDate: utc,
          scales: { x: { time: true, range: (_, least, most) => [least - 43200, most + 43200] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] } },
          axes: [days(), axis({ size: 46, space: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6], values: (_, splits) => splits.map(count) })],
          series: [{}, { stroke: "transparent", paths: () => null, points: { show: false } }],
          hooks: { draw: [(chart) => {
            const context = chart.ctx;
            const dense = window.devicePixelRatio || 1;
            const wide = Math.max(2, Math.abs(chart.valToPos(at[0] + 86400, "x", true) - chart.valToPos(at[0], "x", true)) - 2 * dense);
            const tints = names.map((_, index) => colour(`c${index}`));
            const panel = colour("panel");
            context.save();
            context.textAlign = "center";
            context.textBaseline = "middle";
            context.font = `600 ${10 * dense}px system-ui, sans-serif`;
            at.forEach((day, column) => {
              let base = 0;
              stacks.forEach((list, kind) => {
                if (!list[column]) return;
                const low = chart.valToPos(base, "y", true);
                const high = chart.valToPos(base + list[column], "y", true);
                const x = chart.valToPos(day, "x", true);
                context.fillStyle = tints[kind];
                context.fillRect(x - wide / 2, high, wide, Math.max(1, low - high - dense));
                if (low - high > 12 * dense && wide > 9 * dense) {
                  context.fillStyle = panel;
                  context.fillText(String(kind + 1), x, (low + high) / 2);
                }
                base += list[column];
              });
            });
            context.restore();
          }] },
        }),
        tell: (index) => `${date(at[index])}: ` + (sums[index] ? kinds.map((kind, one) => [kind, failed[one][index]]).filter(([, times]) => times).map(([kind, times]) => `${count(times)} ${kind}`).join(", ") + `, of ${counted(total[index], "request")}` : total[index] ? `none of ${counted(total[index], "request")} failed` : "no requests"),
      }));
    }
  };

  // Candles over slots, not over time: nights and holidays take no room, and bars that are lacking do.
  const bars = () => {
    const home = find("bars-chart");
    const own = facts.chart;
    if (!home || !own) return;
    const most = 14;
    const slots = [];
    const gaps = [];
    const lacking = new Map(own.lacking.map(([slot, missing, reason]) => [slot, { missing, reason }]));
    own.ts.forEach((_, slot) => {
      const gap = lacking.get(slot);
      const wide = gap ? Math.min(most, gap.missing) : 1;
      if (gap) gaps.push({ from: slots.length, wide, slot, ...gap });
      for (let part = 0; part < wide; part++) slots.push(slot);
    });
    const gapAt = (index) => lacking.get(slots[index]);
    const pick = (list) => slots.map((slot) => list[slot]);
    const [open, high, low, close, volume] = [own.open, own.high, own.low, own.close, own.volume].map(pick);
    const features = new Map(own.features.map(([name, list]) => [name, pick(list)]));
    const xs = slots.map((_, index) => index);
    const onPrice = ["sma_20", "sma_50", "sma_200", "ema_12", "ema_26", "bb_upper", "bb_middle", "bb_lower", "vwap_session"];
    const over = onPrice.filter((name) => features.has(name));
    const below = own.features.map(([name]) => name).filter((name) => !onPrice.includes(name));
    const chosen = new Set(["sma_20", "sma_50", "rsi_14"].filter((name) => features.has(name)));
    const when = (index) => { const at = own.ts[slots[index]]; return own.intraday ? instant(at).slice(0, 16).replace("T", " ") : date(at); };
    const hasVolume = own.volume.some((value) => value !== null);
    let visible = Math.min(slots.length, home.clientWidth < 600 ? 60 : 120);

    const tell = (index) => {
      const gap = gapAt(index);
      if (gap) return `${when(index)}: ${counted(gap.missing, "due bar")} lacking, ${gap.reason ?? "nothing is known of the reason"}`;
      const values = [...chosen].map((name) => `${name} ${number(features.get(name)[index])}`);
      return `${when(index)}: open ${number(open[index])}, high ${number(high[index])}, low ${number(low[index])}, close ${number(close[index])}` + (hasVolume ? `, volume ${number(volume[index])}` : "") + (values.length ? `, ${values.join(", ")}` : "");
    };
    const said = readout("A hollow candle closed above its open, a filled one below. Move along with the arrow keys.");
    const sync = uPlot.sync("bars");
    const range = () => [slots.length - visible - 0.5, slots.length - 0.5];
    const shownMin = () => Math.max(0, slots.length - visible);
    const extent = (lists) => {
      let [least, greatest] = [Infinity, -Infinity];
      for (const list of lists) for (let index = shownMin(); index < slots.length; index++) {
        const value = list[index];
        if (value === null || value === undefined) continue;
        if (value < least) least = value;
        if (value > greatest) greatest = value;
      }
      if (least > greatest) return [0, 1];
      const room = (greatest - least || Math.abs(greatest) || 1) * 0.06;
      return [least - room, greatest + room];
    };
    const hatch = (chart, lettered) => {
      const context = chart.ctx;
      const dense = window.devicePixelRatio || 1;
      const { top, height, left, width } = chart.bbox;
      const [muted, line] = [colour("muted"), colour("strong")];
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      for (const { from, wide, missing, reason } of gaps) {
        const x0 = chart.valToPos(from - 0.5, "x", true);
        const x1 = chart.valToPos(from + wide - 0.5, "x", true);
        if (x1 < left) continue;
        context.save();
        context.beginPath();
        context.rect(x0, top, x1 - x0, height);
        context.clip();
        context.strokeStyle = line;
        context.globalAlpha = 0.55;
        context.lineWidth = dense;
        context.beginPath();
        for (let x = x0 - height; x < x1; x += 7 * dense) { context.moveTo(x, top + height); context.lineTo(x + height, top); }
        context.stroke();
        context.restore();
        const text = `${count(missing)} ${reason ?? "unknown"}`;
        context.font = `${11 * dense}px system-ui, sans-serif`;
        const room = context.measureText(text).width + 6 * dense;
        if (lettered && x1 - x0 > 13 * dense) {
          context.save();
          context.translate((x0 + x1) / 2, top + height / 2);
          context.rotate(-Math.PI / 2);
          context.fillStyle = colour("panel");
          context.fillRect(-room / 2, -8 * dense, room, 16 * dense);
          context.fillStyle = muted;
          context.textAlign = "center";
          context.textBaseline = "middle";
          context.fillText(text, 0, 0);
          context.restore();
        }
      }
      context.restore();
    };
    const candles = (chart) => {
      hatch(chart, true);
      const context = chart.ctx;
      const dense = window.devicePixelRatio || 1;
      const { left, width, top, height } = chart.bbox;
      const slot = width / visible;
      const body = Math.max(dense, Math.min(11 * dense, Math.floor(slot * 0.66)));
      const [ink, up, panel] = [colour("stale"), colour("good"), colour("panel")];
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      context.lineWidth = Math.max(1, dense);
      for (let index = shownMin(); index < slots.length; index++) {
        if (open[index] === null) continue;
        const x = Math.round(chart.valToPos(index, "x", true));
        const [o, h, l, c] = [open, high, low, close].map((list) => chart.valToPos(list[index], "y", true));
        const rose = close[index] >= open[index];
        context.strokeStyle = context.fillStyle = rose ? up : ink;
        context.beginPath();
        context.moveTo(x, h); context.lineTo(x, l);
        context.stroke();
        const [a, b] = [Math.min(o, c), Math.max(1, Math.abs(o - c))];
        if (rose && body > 2 * dense) context.fillStyle = panel;
        context.fillRect(x - body / 2, a, body, b);
        if (body > 2 * dense) context.strokeRect(x - body / 2, a, body, b);
      }
      context.restore();
    };
    const volumes = (chart) => {
      hatch(chart, false);
      const context = chart.ctx;
      const dense = window.devicePixelRatio || 1;
      const { left, width, top, height } = chart.bbox;
      const body = Math.max(dense, Math.min(11 * dense, Math.floor(width / visible * 0.66)));
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      context.fillStyle = colour("strong");
      const floor = chart.valToPos(0, "y", true);
      for (let index = shownMin(); index < slots.length; index++) {
        if (!volume[index]) continue;
        const y = chart.valToPos(volume[index], "y", true);
        context.fillRect(chart.valToPos(index, "x", true) - body / 2, y, body, Math.max(1, floor - y));
      }
      context.restore();
    };
    const xAxis = (show) => axis({ show, size: 28, space: own.intraday ? 120 : 84, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 25, 50, 100], values: (_, splits) => splits.map((index) => Number.isInteger(index) && index >= 0 && index < slots.length ? when(index) : "") });
    const big = (value) => Math.abs(value) >= 1e9 ? `${+(value / 1e9).toPrecision(3)} G` : Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M` : Math.abs(value) >= 1e4 ? `${+(value / 1e3).toPrecision(3)} k` : number(value);
    const yAxis = (more) => axis({ size: 58, space: 34, values: (_, splits) => splits.map(big), ...more });
    const lines = (names, first) => names.map((name, index) => ({ label: name, spanGaps: false, width: 1.5, stroke: colour(`c${(first + index) % 6}`), dash: index > 5 ? [5, 3] : [], points: { show: false } }));
    const panes = make("div");
    const legend = make("ul", { className: "legend" });
    let built = [];
    const build = () => {
      panes.replaceChildren();
      built = [];
      const overNames = over.filter((name) => chosen.has(name));
      const belowNames = below.filter((name) => chosen.has(name));
      const swatch = (name, index) => make("li", {}, make("span", { className: `swatch c${index % 6}${index > 5 ? " d1" : ""}` }), name);
      legend.replaceChildren(...overNames.map(swatch));
      const common = { line: said, tell };
      built.push(plot(panes, `Candles of ${own.name}`, {
        ...common, height: (width) => width < 600 ? 260 : 340,
        data: () => [xs, low, high, ...overNames.map((name) => features.get(name))],
        options: () => ({
          cursor: { sync: { key: sync.key } },
          scales: { x: { time: false, range }, y: { range: () => extent([low, high, ...overNames.map((name) => features.get(name))]) } },
          axes: [xAxis(!hasVolume && !belowNames.length), yAxis()],
          series: [{}, { paths: () => null, points: { show: false } }, { paths: () => null, points: { show: false } }, ...lines(overNames, 0)],
          hooks: { drawAxes: [candles] },
        }),
      }));
      if (hasVolume) built.push(plot(panes, `Volume of ${own.name}`, {
        ...common, quietly: true, height: () => belowNames.length ? 74 : 100,
        data: () => [xs, volume],
        options: () => ({
          cursor: { sync: { key: sync.key } },
          scales: { x: { time: false, range }, y: { range: () => [0, extent([volume])[1]] } },
          axes: [xAxis(!belowNames.length), yAxis({ space: 22 })],
          series: [{}, { paths: () => null, points: { show: false } }],
          hooks: { drawAxes: [volumes] },
        }),
      }));
      belowNames.forEach((name, index) => {
        panes.append(make("p", { className: "note" }, name));
        built.push(plot(panes, `${name} of ${own.name}`, {
          ...common, quietly: true, height: () => index === belowNames.length - 1 ? 122 : 94,
          data: () => [xs, features.get(name)],
          options: () => ({
            cursor: { sync: { key: sync.key } },
            scales: { x: { time: false, range }, y: { range: () => extent([features.get(name)]) } },
            axes: [xAxis(index === belowNames.length - 1), yAxis({ space: 26 })],
            series: [{}, ...lines([name], overNames.length + index)],
            hooks: { drawAxes: [(chart) => hatch(chart, false)] },
          }),
        }));
      });
    };
    const boxes = (title, names) => {
      const set = make("fieldset", {}, make("legend", {}, title));
      names.forEach((name) => {
        const box = make("input", { type: "checkbox", checked: chosen.has(name) });
        box.addEventListener("change", () => { if (box.checked) chosen.add(name); else chosen.delete(name); build(); });
        set.append(make("label", {}, box, name));
      });
      return set;
    };
    const sizes = make("fieldset", {}, make("legend", {}, "Show the last"));
    [...new Set([60, 120, 250, slots.length].filter((size) => size <= slots.length))].forEach((size) => {
      const radio = make("input", { type: "radio", name: "bars-shown", checked: size === visible });
      radio.addEventListener("change", () => { visible = size; build(); });
      sizes.append(make("label", {}, radio, size === slots.length ? "all" : String(size)));
    });
    home.append(make("div", { className: "controls" }, sizes));
    if (over.length) home.append(make("div", { className: "controls" }, boxes("On the price", over)));
    if (below.length) home.append(make("div", { className: "controls" }, boxes("Below", below)));
    home.append(legend, panes, said.line);
    build();
    draws.push(() => built.forEach((draw) => draw()));
  };

  freshness();
  coverage();
  runs();
  requests();
  bars();
  redraw();
  let width = root.clientWidth;
  addEventListener("resize", () => { if (root.clientWidth !== width) { width = root.clientWidth; redraw(); } });
  const details = [...document.querySelectorAll("details")];
  addEventListener("beforeprint", () => { details.forEach((one) => { one.dataset.was = one.open ? "1" : ""; one.open = true; }); redraw(); });
  addEventListener("afterprint", () => { details.forEach((one) => { one.open = Boolean(one.dataset.was); }); redraw(); });
  root.dataset.drawn = "yes";
})();
