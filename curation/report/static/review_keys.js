// The section of a review, and its keys: they act while nothing else of the page has the focus.

const keep = () => {
  const row = current();
  if (row && !row.judged.refuses && (row.fate === "kept" || row.judged.caption)) decide("keep", {});
};
const undo = () => { const all = current() ? current().judged.decisions : []; if (all.length) decide("undo", { undoes: all[all.length - 1].review_id }); };
const answerAudit = () => decide("audit", { audit: REVIEW.audit, anything_false: !!judging.answer.anything_false, subject_missing: !!judging.answer.subject_missing });

function reject(at) {
  const note = document.getElementById("review-note");
  decide("reject", { reason: REVIEW.reasons[at][0], note: note && note.value.trim() ? note.value : null });
}

function openReasons() {
  Object.assign(judging, { reasons: !judging.reasons, editing: false });
  showSample();
  const first = document.querySelector("#review .reason-list button");
  if (first) first.focus();
}

function openEditor() {
  if (!current() || current().judged.refuses || !REVIEW.edits) return;
  Object.assign(judging, { editing: true, reasons: false });
  showSample();
  document.getElementById("review-text").focus();
}

function saveEdit() {
  const field = document.getElementById("review-text");
  if (field) decide("edit", { caption: field.value });
}

function closeForms() {
  leaveForms();
  showSample();
  document.getElementById("review-title").focus();
}

function shownTexts(row) {
  const edited = row.judged.decisions.some((d) => d.after && d.action === "edit") && !REVIEW.audit;
  const caption = edited ? foreign(row.judged.caption) : after(row) || h("span", { class: "quiet" }, "none");
  return h("div", { class: "judged-texts" },
    h("h3", {}, edited ? "Caption, edited" : row.fate === "kept" ? "Caption" : "Caption that was not released"), h("p", { class: "judged-caption" }, caption),
    row.detail && row.fate !== "kept" ? h("p", { class: "detail-text" }, foreign(row.detail)) : null,
    h("h3", {}, "Alt text"), h("p", { class: "old" }, row.alt ? foreign(row.alt) : h("span", { class: "quiet" }, "empty")),
    row.why ? h("p", { class: "quiet" }, "in the queue for: ", foreign(row.why)) : null,
    row.judged.decisions.length ? [h("h3", {}, "Decided"), h("ul", { class: "decisions" }, row.judged.decisions.map(decision))] : null);
}

function showSample() {
  const row = current(), place = document.getElementById("review-sample");
  document.getElementById("review-held").replaceChildren(judging.held ? foreign(judging.held + ": decisions are taken, and count from the next run on.") : "");
  const where = judging.alone ? "A row outside of the queue" : row ? `${number(judging.place + 1)} of ${number(judging.of)}` : `The end of the queue of ${number(judging.of)}`;
  document.getElementById("review-place").textContent = `${where}; ${number(judging.judged || 0)} judged`;
  if (!row) return place.replaceChildren(h("p", { class: "about" }, judging.of ? "Nothing more is here." : "The queue is empty."));
  const large = { ...row, picture: row.picture ? row.picture.replace("thumbnails/", "pictures/") : null };
  place.replaceChildren(
    h("figure", { class: "judged-picture" }, picture(large, "judged-image"), h("figcaption", {}, h("code", {}, foreign(row.id.slice(0, 16))), " ", fate(row),
      h("button", { type: "button", class: "small", onclick: () => show(row) }, "All of it"))),
    h("div", {}, shownTexts(row), REVIEW.audit && !judging.alone ? questions() : choices(row), judging.reasons ? reasonList() : null, judging.editing ? editor(row) : null));
}

function reviewSection() {
  if (!REVIEW) return null;
  const name = h("input", { id: "review-who", maxlength: "80", autocomplete: "off", spellcheck: "false", value: judging.who, onchange: (event) => { judging.who = event.target.value.trim(); goTo(judging.place, REVIEW.audit); } });
  return section("review", REVIEW.audit ? "Audit" : "Judge", null,
    h("p", { class: "about" }, "Queue: ", foreign(REVIEW.queue), "."),
    h("div", { class: "review-bar" }, h("label", { for: "review-who" }, "Judging as", name), h("p", { id: "review-place", class: "quiet" }),
      h("div", { class: "choices" }, keyed("P", "Back", () => goTo(judging.place - 1)), keyed("N", "Next", () => goTo(judging.place + 1)), keyed("O", "Next open one", () => goTo(judging.place, true)))),
    h("p", { id: "review-held", class: "said" }), h("p", { id: "review-said", class: "said", role: "status", "aria-live": "polite" }),
    h("div", { id: "review-sample", class: "judged" }));
}

const KEYS = { k: keep, r: openReasons, e: openEditor, u: undo, n: () => goTo(judging.place + 1), ArrowRight: () => goTo(judging.place + 1), p: () => goTo(judging.place - 1), ArrowLeft: () => goTo(judging.place - 1), o: () => goTo(judging.place, true), Escape: closeForms };
const AUDIT_KEYS = { f: () => toggle("anything_false"), m: () => toggle("subject_missing"), Enter: answerAudit };

function toggle(name) {
  judging.answer[name] = !judging.answer[name];
  showSample();
}

function pressed(event) {
  const at = document.activeElement, inside = at === document.body || document.getElementById("review").contains(at);
  if (!inside || event.altKey || event.metaKey || event.isComposing || document.getElementById("detail").open) return;
  const writing = at.matches("input:not([type=checkbox]), textarea, select");
  let act = null;
  if (event.ctrlKey) act = event.key === "Enter" && judging.editing ? saveEdit : null;
  else if (writing) act = event.key === "Escape" ? closeForms : null;
  else if (judging.reasons && /^[1-9]$/.test(event.key)) act = Number(event.key) <= REVIEW.reasons.length ? () => reject(Number(event.key) - 1) : null;
  else if (event.key === "Enter" && at.matches("button, a, summary, input")) act = null; // its own
  else {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const audit = REVIEW.audit && !judging.alone;
    act = (audit ? AUDIT_KEYS[key] : null) || (audit && "kreu".includes(key) ? null : KEYS[key]) || null;
  }
  if (!act) return;
  event.preventDefault();
  act();
}

function beginReview() {
  if (!REVIEW) return;
  document.addEventListener("keydown", pressed);
  goTo(0, true);
}
