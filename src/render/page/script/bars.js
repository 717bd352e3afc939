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
  const drawAll = () => built.forEach((draw) => draw());
  const build = () => {
    panes.replaceChildren();
    built = [];
    const overNames = over.filter((name) => chosen.has(name));
    const belowNames = below.filter((name) => chosen.has(name));
    const swatch = (name, index) => make("li", {}, make("span", { className: `swatch c${index % 6}${index > 5 ? " d1" : ""}` }), name);
    legend.replaceChildren(...overNames.map(swatch));
    const common = { line: said, tell, wide: 36 };
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
      box.addEventListener("change", () => { if (box.checked) chosen.add(name); else chosen.delete(name); build(); drawAll(); });
      set.append(make("label", {}, box, name));
    });
    return set;
  };
  const sizes = make("fieldset", {}, make("legend", {}, "Show the last"));
  [...new Set([60, 120, 250, slots.length].filter((size) => size <= slots.length))].forEach((size) => {
    const radio = make("input", { type: "radio", name: "bars-shown", checked: size === visible });
    radio.addEventListener("change", () => { visible = size; build(); drawAll(); });
    sizes.append(make("label", {}, radio, size === slots.length ? "all" : String(size)));
  });
  home.append(make("div", { className: "controls" }, sizes));
  if (over.length) home.append(make("div", { className: "controls" }, boxes("On the price", over)));
  if (below.length) home.append(make("div", { className: "controls" }, boxes("Below", below)));
  home.append(legend, panes, said.line);
  build();
  draws.push(drawAll);
};
