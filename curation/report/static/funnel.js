// The funnel: a river that grows narrower; what leaves it at each stage stands beside it and leads to its rows.

function funnelSection() {
  const funnel = DATA.funnel, whole = Math.max(1, funnel.rows);
  const stages = funnel.stages.filter((s) => s.reasons.length), silent = funnel.stages.filter((s) => !s.reasons.length && s.stage !== "release");
  const most = Math.max(1, ...stages.flatMap((s) => s.reasons.map((r) => r.rows)));
  const steps = stages.map((s) => stage(s, whole, most));
  const kept = h("li", { class: "stage end" }, h("div", { class: "river" }, band(funnel.kept / whole, funnel.kept / whole)),
    h("div", { class: "what" }, h("h3", {}, h("a", { href: rowsAt({ fate: "kept" }) }, "kept")),
      h("p", {}, h("b", { class: "big" }, number(funnel.kept)), " ", h("span", { class: "quiet" }, `${share(funnel.kept, funnel.rows)} of ${plural(funnel.rows, "source row")}`))));
  return section("funnel", "The funnel", "From the source down to the release. Each name leads to the rows themselves.",
    h("ol", { class: "funnel" }, steps, kept),
    silent.length ? h("p", { class: "quiet" }, "Nothing was lost at: " + silent.map((s) => s.stage).join(", ") + ".") : null);
}

function band(from, to) {
  const half = (part) => Math.max(part > 0 ? 0.6 : 0, 50 * part);
  const a = half(from), b = half(to);
  return svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "water", d: `M${50 - a},0 C${50 - a},50 ${50 - b},50 ${50 - b},100 L${50 + b},100 C${50 + b},50 ${50 + a},50 ${50 + a},0 Z` }));
}

function stage(found, whole, most) {
  const lost = found.in - found.out;
  return h("li", { class: "stage" }, h("div", { class: "river" }, band(found.in / whole, found.out / whole)),
    h("div", { class: "what" },
      h("h3", {}, h("a", { href: rowsAt({ stage: found.stage }) }, foreign(found.stage)), " ",
        h("span", { class: "quiet" }, `${number(found.in)} → ${number(found.out)}`), h("span", { class: "lost" }, "−" + number(lost))),
      h("ul", { class: "reasons" }, found.reasons.map((reason) => {
        const fill = h("span", { class: "fill " + reason.fate });
        fill.style.width = Math.max(1, (100 * reason.rows) / most).toFixed(1) + "%";
        return h("li", {}, h("a", { href: rowsAt({ stage: found.stage, reason: reason.reason }), title: reason.meaning || reason.remedy || null },
          h("span", { class: "reason-name" }, reasonName(reason.reason)), h("span", { class: "track" }, fill),
          h("span", { class: "count" }, number(reason.rows))));
      }))));
}
