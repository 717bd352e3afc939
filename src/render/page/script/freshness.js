// Freshness: with names where there is room for them, else a band a timeframe.
const freshness = () => {
  const home = find("freshness-map");
  const { timeframes, symbols, cells: states } = facts.freshness;
  if (!home || !symbols.length) return;
  const words = { F: "fresh", A: "aging", S: "stale", M: "missing", ".": "no such series" };
  const { line, say } = readout("Point at a cell, or move through a map with the arrow keys.");
  const tint = () => ({ F: colour("good-soft"), a: colour("warn-soft"), A: colour("aging"), S: colour("stale"), M: colour("missing"), ink: colour("ink"), good: colour("good"), muted: colour("muted"), on: colour("on") });
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
      context.fillStyle = { F: tints.good, A: tints.ink, S: tints.on, M: tints.M }[state];
      context.fillText(state, x + w / 2, y + h / 2 + 0.5);
    }
  };
  const tell = (symbol, column) => say(`${symbols[symbol]} ${timeframes[column]}: ${words[states[symbol][column]]}`);
  const maps = [];
  const named = symbols.length <= 240;
  if (named) {
    const cell = 18;
    const names = symbols.map((symbol) => cut(symbol, 14));
    const name = widest(names) + 10;
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
        symbols.forEach((_, row) => {
          const [x, y] = place({ row, column: 0 });
          context.font = "12px system-ui, sans-serif";
          context.textAlign = "right";
          context.fillStyle = tints.ink;
          context.fillText(names[row], x - 8, y + cell / 2);
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
