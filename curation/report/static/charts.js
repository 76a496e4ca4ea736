// Charts: plain SVG and bars, each with the same numbers as a text for those who do not see them.

function histogram(spread) {
  const wide = 320, high = 96, least = 2;
  const most = Math.max(...spread.steps, 1), step = wide / spread.steps.length;
  const end = spread.low + spread.width * spread.steps.length;
  const at = (value) => (wide * (value - spread.low)) / (end - spread.low || 1);
  // A step of its own for each whole number: a limit lies between two of them.
  const kept = (middle) => spread.limits.every((l) => (l.side === "min" ? middle >= l.value : middle <= l.value));
  const bars = spread.steps.map((n, i) => {
    const tall = n ? Math.max(least, (high * n) / most) : 0;
    const middle = spread.low + spread.width * (i + (spread.width === 1 ? 0 : 0.5));
    return svg("rect", { x: (i * step).toFixed(2), y: (high - tall).toFixed(2), width: Math.max(1, step - 1).toFixed(2),
      height: tall.toFixed(2), class: kept(middle) ? "bar" : "bar outside" });
  });
  const lines = spread.limits.map((l) => {
    const x = at(l.value + (l.side === "max" && spread.width === 1 ? 1 : 0)).toFixed(2);
    return svg("line", { x1: x, x2: x, y1: -8, y2: high + 2, class: "limit" });
  });
  const limits = spread.limits.map((l) => (l.side === "min" ? "at least " : "at most ") + short(l.value));
  const unit = spread.unit ? " " + spread.unit : "";
  const said = `${spread.name}: ${number(spread.known)} values from ${short(spread.least)} to ${short(spread.most)}${unit}, ` +
    `half of them up to ${short(spread.median)}` + (limits.length ? `; the recipe keeps ${limits.join(" and ")}` : "");
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("b", {}, foreign(spread.name)), " ", h("span", { class: "quiet" }, spread.about)),
    svg("svg", { viewBox: `0 -10 ${wide} ${high + 12}`, role: "img", "aria-label": said, preserveAspectRatio: "none" },
      bars, lines, svg("line", { x1: 0, x2: wide, y1: high + 1, y2: high + 1, class: "axis" })),
    h("div", { class: "ends" }, h("span", {}, short(spread.low)), h("span", {}, "median " + short(spread.median) + unit),
      h("span", {}, short(end))),
    h("p", { class: "quiet" }, plural(spread.known, "value"),
      limits.length ? [", ", h("span", { class: "limit-name" }, "limit: " + limits.join(", ")), spread.key ? [" (", h("code", {}, spread.key), ")"] : ""] : ", no limit"));
}

// A list of bars: each entry has a text, a share 0..1 and, where it is to be compared, another one.
function bars(caption, entries, names) {
  const most = Math.max(...entries.map((e) => Math.max(e.share, e.before || 0)), 0.0001);
  return h("ul", { class: "bars", "aria-label": caption }, entries.map((e) => {
    const line = h("span", { class: "track" });
    const fill = h("span", { class: "fill" });
    fill.style.width = ((100 * e.share) / most).toFixed(1) + "%";
    line.append(fill);
    if (e.before !== undefined) {
      const other = h("span", { class: "tick" });
      other.style.left = Math.min(100, (100 * e.before) / most).toFixed(1) + "%";
      line.append(other);
    }
    const said = e.before === undefined ? share(e.share, 1) : `${share(e.share, 1)}, ${names} ${share(e.before, 1)}`;
    return h("li", {}, foreign(e.text, { class: "bar-name" }), line, h("span", { class: "quiet" }, said));
  }));
}
