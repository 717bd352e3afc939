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
      const names = map.symbols.map((symbol) => cut(symbol, width < 500 ? 9 : 14));
      const name = widest([...names, "all"]) + 10;
      const pitch = Math.min(40, (width - name) / map.starts.length);
      const top = 40;
      const place = ({ row, column }) => [name + column * pitch, row < 0 ? 0 : row === 0 ? 4 : top + (row - 1) * cell, Math.max(1, pitch - 1), row === 0 ? 26 : cell - 1];
      const holds = ({ row, column }) => row >= 0 && row <= map.symbols.length && column >= 0 && column < map.starts.length;
      const hit = (x, y) => {
        const at = { row: y < 34 ? 0 : Math.floor((y - top) / cell) + 1, column: Math.floor((x - name) / pitch) };
        return x >= name && (y < 34 || y >= top) && holds(at) ? at : null;
      };
      return { height: top + map.symbols.length * cell + 20, place, holds, hit, names, name, pitch, cell, top };
    },
    paint: (context, { place, names, name, pitch, cell, top, height }) => {
      const tints = letters.map((_, index) => colour(`r${index}`));
      const [good, ink, muted, line, sunk, on] = ["good-soft", "ink", "muted", "line", "sunk", "on"].map(colour);
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
      map.symbols.forEach((_, index) => {
        const row = index + 1;
        context.font = "12px system-ui, sans-serif";
        context.textAlign = "right";
        context.fillStyle = ink;
        context.fillText(names[index], name - 8, top + index * cell + cell / 2);
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
            context.fillStyle = part < h || reason > 3 ? ink : on;
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
