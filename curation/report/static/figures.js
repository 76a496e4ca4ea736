// Numbers: scores, captions, hosts, costs, and what has changed.

function scoresSection() {
  if (!DATA.distributions.length) return null;
  // Scores with a limit come first; one that has a single value needs no picture.
  const flat = DATA.distributions.filter((d) => d.least === d.most && !d.limits.length);
  const told = DATA.distributions.filter((d) => !flat.includes(d));
  const ordered = [...told.filter((d) => d.limits.length), ...told.filter((d) => !d.limits.length)];
  const first = ordered.slice(0, 9), rest = ordered.slice(9);
  return section("scores", "Scores", "How they are spread, with the recipe's limits; what lies beyond one is paler. The first and the last bar hold all that lies further out.",
    h("div", { class: "charts" }, first.map(histogram)),
    rest.length ? h("details", { class: "further" }, h("summary", {}, plural(rest.length, "more score")), h("div", { class: "charts" }, rest.map(histogram))) : null,
    flat.length ? h("p", { class: "quiet" }, "The same for all images: ", flat.map((d) => `${d.name} ${short(d.least)}`).join(", "), ".") : null);
}

function captionsSection() {
  if (!DATA.lengths.length && !DATA.openings.length && !DATA.words.length) return null;
  const lengths = DATA.lengths.map((spread) => {
    const made = histogram(spread);
    made.append(h("p", {}, h("b", {}, share(spread.within, 1)), " within CLIP's 77 tokens"));
    return made;
  });
  return section("captions", "Captions", "Lengths in CLIP's tokens, start and end included, beside the 77 that its text encoder reads; how captions begin; what they name.",
    h("div", { class: "charts" }, lengths),
    h("div", { class: "columns" },
      DATA.openings.length ? h("div", {}, h("h3", {}, "Openings"), bars("share of captions by their first three words", DATA.openings)) : null,
      DATA.words.length ? h("div", {}, h("h3", {}, "Words"), h("p", { class: "quiet" }, "Share of captions with the word; the tick is the share of alt texts."),
        bars("share of captions by word", DATA.words, "of alt texts")) : null));
}

function hostsSection() {
  if (!DATA.hosts.length) return null;
  const all = DATA.hosts[0].hosts, right = true;
  const columns = [{ name: "host" }, { name: "asked", right }, { name: "pictures", right }, { name: "refused", right }, { name: "opted out", right }, { name: "slow", right }, { name: "gone", right }, { name: "other", right }];
  const shown = (n) => (n ? number(n) : h("span", { class: "quiet" }, "0"));
  const rows = DATA.hosts.map((x) => [foreign(x.host || "(no host)"), number(x.asked), shown(x.pictures), shown(x.refused), shown(x.opted_out), shown(x.slow), shown(x.gone), shown(x.other)]);
  const about = `${plural(all, "host")}${all > rows.length ? `, the ${rows.length} that were asked most` : ""}. Refused: 401, 403, 429, 451, or a forbidden address. Slow: no answer in time. Gone: 404 or 410.`;
  return section("hosts", "Hosts", about, table("Hosts and how they answered", columns, rows, { class: "numbers" }));
}

function costsSection() {
  if (!DATA.costs.length) return null;
  const right = true, paid = DATA.costs.some((c) => c.cost);
  const columns = [{ name: "asked for" }, { name: "model" }, { name: "replies", right }, { name: "unusable", right }, { name: "kept", right }, { name: "tokens a kept one", right }, { name: "seconds a kept one", right }, ...(paid ? [{ name: "cost a kept one", right }, { name: "cost", right }] : [])];
  const rows = DATA.costs.map((c) => [foreign(c.kind), foreign(c.model), number(c.replies), number(c.invalid), number(c.kept), short(c.tokens_per_kept), short(c.seconds_per_kept), ...(paid ? [short(c.cost_per_kept), short(c.cost)] : [])]);
  return section("costs", "Costs", "What replies took for each caption that stands in the release, those that were rejected included." + (paid ? "" : " The recipe names no prices (caption.price_in, price_out, price_hour)."),
    table("Costs of replies by kind and model", columns, rows, { class: "numbers" }));
}

const shards = (byTable) => Object.entries(byTable || {}).map(([name, n]) => `${name} ${Array.isArray(n) ? n.length : n}`).join(", ");

function changesSection() {
  const found = DATA.changes, right = true;
  const parts = [];
  if (found) {
    parts.push(h("p", {}, `${plural(found.rows_before, "source row")} before, ${number(found.rows_now)} now.`));
    if (found.lines.length) {
      const signed = (n) => (n > 0 ? "+" : "−") + number(Math.abs(n));
      parts.push(table("Lines of the funnel that changed", [{ name: "stage" }, { name: "fate" }, { name: "reason" }, { name: "before", right }, { name: "now", right }, { name: "change", right }],
        found.lines.map((x) => [x.stage, x.fate, reasonName(x.reason), number(x.before), number(x.now), signed(x.now - x.before)]), { class: "numbers" }));
    }
    if (found.recipe.length) {
      parts.push(h("h3", {}, "Keys of the recipe"), table("Keys of the recipe that changed", [{ name: "key" }, { name: "before" }, { name: "now" }],
        found.recipe.map((x) => [h("code", {}, foreign(x.key)), foreign(x.before || "not set"), foreign(x.now || "not set")])));
    }
  } else parts.push(h("p", {}, "This is the first page of the root: there is no earlier state to compare with."));
  const latest = DATA.runs.map((r) => [foreign(r.started), foreign(r.status), short(Math.round(r.seconds)) + " s", foreign(shards(safely(r.done)) || "nothing"), foreign(shards(safely(r.failed)))]);
  if (latest.length) parts.push(h("h3", {}, "Runs"), table("The latest runs", [{ name: "started (UTC)" }, { name: "ended" }, { name: "took" }, { name: "shards made" }, { name: "shards failed" }], latest));
  return section("changes", "What changed", "Since the state of the root before this one.", parts);
}

function safely(text) {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}
