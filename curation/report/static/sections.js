// Before and after; what was rejected, with its evidence; clusters of duplicates.

const SHOWN = 8;

function pairsSection() {
  const kept = DATA.rows.filter((r) => r.fate === "kept" && r.caption);
  if (!kept.length) return null;
  // Those in which verification changed something say most; the others keep the order of the sample.
  const told = [...kept.filter(hasMarks), ...kept.filter((r) => !hasMarks(r))];
  const marked = told.some((r) => (r.captions || []).some((c) => c.pieces.some((p) => p[1])));
  return section("texts", DATA.product === "dense_prompts" ? "Prompts" : "Before and after",
    DATA.product === "dense_prompts" ? "What was asked for, and the prompt that was written." : "What the pictures came with, and what stands in the release; captions that something was cut out of come first.",
    marked ? legend() : null, growing(told, before, "pairs"));
}

function before(row) {
  return h("li", { class: "before-after" },
    row.picture ? h("button", { type: "button", class: "open", "aria-label": "Show the row " + row.id.slice(0, 8), onclick: () => show(row) }, picture(row)) : null,
    h("div", { class: "two-texts" },
      h("div", {}, h("h4", {}, "Before"), h("p", { class: "old" }, row.alt ? foreign(row.alt) : h("span", { class: "quiet" }, "empty"))),
      h("div", {}, h("h4", {}, "After"), h("p", {}, after(row)))));
}

// A list that shows its first entries, and more of them when asked.
function growing(entries, make, className, step = SHOWN) {
  const list = h("ul", { class: className });
  const button = h("button", { type: "button", onclick: () => grow(true) });
  let shown = 0;
  function grow(asked) {
    const first = shown;
    for (const entry of entries.slice(shown, shown + step)) list.append(make(entry));
    shown = Math.min(entries.length, shown + step);
    button.hidden = shown >= entries.length;
    button.textContent = `Show more (${number(entries.length - shown)})`;
    if (asked && list.children[first]) (list.children[first].querySelector("button") || button).focus();
  }
  grow(false);
  return [list, h("p", {}, button)];
}

function rejectedSection() {
  const lines = DATA.funnel.stages.flatMap((s) => s.reasons.map((r) => ({ ...r, stage: s.stage })));
  if (!lines.length) return null;
  const blocks = lines.map((line) => {
    const rows = DATA.rows.filter((r) => r.stage === line.stage && r.reason === line.reason);
    rows.sort((a, b) => Boolean(b.picture) - Boolean(a.picture));
    const filled = h("div", {});
    const block = h("details", { class: "reason" },
      h("summary", {}, h("b", {}, reasonName(line.reason)), h("span", { class: "quiet" }, ` at ${line.stage}`), h("span", { class: "count" }, number(line.rows))), filled);
    block.addEventListener("toggle", () => {
      if (!block.open || filled.firstChild) return; // made when it is first looked at
      add(filled, [line.meaning && h("p", {}, line.meaning[0].toUpperCase() + line.meaning.slice(1) + "."),
        line.remedy && h("p", { class: "quiet" }, "If that is too much: " + line.remedy + "."),
        growing(rows, card, "cards", 12),
        h("p", {}, h("a", { href: rowsAt({ stage: line.stage, reason: line.reason }) }, `All ${plural(line.rows, "row")} of this kind`))]);
    });
    return block;
  });
  return section("rejected", "What was rejected", "By stage and reason, with the pictures where there are any and with what was found.", blocks);
}

function clustersSection() {
  const found = DATA.clusters;
  if (!found.shown.length) return null;
  const about = `${plural(found.clusters, "cluster")} of images that are the same or nearly so; ${plural(found.all_removed, "image")} removed. ` +
    (found.clusters > found.shown.length ? `The ${found.shown.length} largest.` : "All of them.");
  return section("duplicates", "Duplicates", about, growing(found.shown, cluster, "clusters", 6));
}

function cluster(found) {
  const more = found.size - found.members.length;
  return h("li", { class: "cluster" + (found.members.length > 3 ? " wide" : "") }, h("h3", {}, plural(found.size, "image"), " ", h("code", { class: "quiet" }, foreign(found.id.slice(0, 12)))),
    h("ul", { class: "members" }, found.members.map((m) => h("li", { class: m.reason ? "member" : "member keeper" },
      picture({ ...m, caption: m.alt }),
      h("span", {}, m.reason ? reasonName(m.reason) : "kept"),
      m.reason ? h("span", { class: "quiet" }, apart(m)) : h("span", { class: "quiet" }, "in the place of the others")))),
    more > 0 ? h("p", { class: "quiet" }, `and ${number(more)} more`) : null);
}
