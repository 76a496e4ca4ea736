// Search and filters: over the page's sample, or over all rows where a server answers.

const FILTERS = ["q", "fate", "stage", "reason", "split"];
const PAGE = 24;
const state = { filters: {}, rows: [], found: 0, asked: 0 };

function searched(row) {
  if (row.haystack === undefined) {
    row.haystack = [row.alt, row.caption, row.url, row.id, row.detail, row.file].filter(Boolean).join("\n").toLowerCase();
  }
  return row.haystack;
}

function fits(row, filters) {
  const words = (filters.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  return ["fate", "stage", "reason", "split"].every((name) => !filters[name] || row[name] === filters[name]) &&
    words.every((word) => searched(row).includes(word));
}

async function query(filters, offset) {
  if (!DATA.served) {
    const found = DATA.rows.filter((row) => fits(row, filters));
    return { rows: found.slice(offset, offset + PAGE), found: found.length };
  }
  const wanted = new URLSearchParams({ offset: String(offset), limit: String(PAGE) });
  for (const name of FILTERS) if (filters[name]) wanted.set(name, filters[name]);
  const answer = await fetch("rows?" + wanted.toString(), { credentials: "omit" });
  if (!answer.ok) throw new Error("the server answered " + answer.status);
  return answer.json();
}

function select(name, label, options) {
  const made = h("select", { id: "filter-" + name, onchange: filtered }, h("option", { value: "" }, "all"),
    options.map((o) => h("option", { value: o }, name === "reason" ? reasonName(o) : o)));
  return h("label", { for: "filter-" + name }, label, made);
}

function rowsSection() {
  const stages = DATA.funnel.stages, reasons = stages.flatMap((s) => s.reasons.map((r) => r.reason));
  const about = DATA.served ? `All ${plural(DATA.funnel.rows, "row")} of the root.` :
    `A sample of ${number(DATA.sample.rows)} of ${plural(DATA.sample.of, "row")}, with some of every line of the funnel` +
    (DATA.sample.rows < DATA.sample.of ? ". To search all of them: lapidary report ROOT --serve" : ": all of them") + ".";
  return section("rows", "Rows", about,
    h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); filtered(); } },
      h("label", { for: "filter-q", class: "grow" }, "Search texts, addresses, ids",
        h("input", { id: "filter-q", type: "search", maxlength: "200", autocomplete: "off", spellcheck: "false", oninput: soon })),
      select("fate", "Fate", ["kept", "rejected", "failed"]), select("stage", "Stage", stages.map((s) => s.stage)),
      select("reason", "Reason", [...new Set(reasons)].sort()), select("split", "Split", ["train", "val", "test"]),
      h("button", { type: "button", onclick: () => { location.hash = "#rows"; apply({}); } }, "Clear")),
    h("p", { id: "found", role: "status", "aria-live": "polite", class: "quiet" }),
    h("ul", { id: "list", class: "cards" }),
    h("p", {}, h("button", { id: "more", type: "button", hidden: true, onclick: more }, "Show more")));
}

let waiting = 0;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(filtered, 150);
}

function filtered() {
  const filters = {};
  for (const name of FILTERS) {
    const value = document.getElementById("filter-" + name).value.trim();
    if (value) filters[name] = value;
  }
  const hash = new URLSearchParams(filters).toString();
  history.replaceState(null, "", hash ? "#rows?" + hash : "#rows");
  apply(filters);
}

async function apply(filters) {
  state.filters = filters;
  for (const name of FILTERS) {
    const field = document.getElementById("filter-" + name), value = filters[name] || "";
    if (document.activeElement !== field) field.value = value;
  }
  document.getElementById("list").replaceChildren();
  state.rows = [];
  await more();
}

async function more(event) {
  const turn = (state.asked += 1), list = document.getElementById("list"), said = document.getElementById("found");
  const button = document.getElementById("more"), first = state.rows.length;
  try {
    const answer = await query(state.filters, first);
    if (turn !== state.asked) return; // another question was asked meanwhile
    state.rows.push(...answer.rows);
    state.found = answer.found;
    list.append(...answer.rows.map(card));
    const whole = DATA.served ? DATA.funnel.rows : DATA.sample.rows;
    said.textContent = `${plural(state.found, "row")} of ${number(whole)}` + (DATA.served ? "" : " in the sample") + (state.found > state.rows.length ? `, ${number(state.rows.length)} shown` : "");
    button.hidden = state.rows.length >= state.found;
    if (event && list.children[first]) list.children[first].querySelector("button").focus();
  } catch (error) {
    said.textContent = "The rows could not be read: " + error.message;
  }
}

// #rows?stage=dedupe&reason=near_duplicate is an address that can be passed on.
function follow() {
  const [place, words] = location.hash.slice(1).split("?");
  if (place !== "rows") return;
  const wanted = new URLSearchParams(words || ""), filters = {};
  for (const name of FILTERS) if (wanted.get(name)) filters[name] = wanted.get(name).slice(0, 200);
  document.activeElement.blur();
  apply(filters);
  document.getElementById("rows").scrollIntoView();
  document.getElementById("rows-title").focus({ preventScroll: true });
}

const rowsAt = (filters) => "#rows?" + new URLSearchParams(filters).toString();
