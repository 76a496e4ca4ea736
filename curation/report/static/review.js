// Judging: one sample at a time, with what was decided about it; every text goes through `foreign`.

const REVIEW = DATA.review || null;
const judging = { rows: [], place: 0, first: 0, of: 0, who: REVIEW ? REVIEW.who : "", busy: false, reasons: false, editing: false, draft: null, answer: {}, alone: null };

const ACTIONS = { keep: "kept", reject: "rejected", edit: "edited", undo: "taken back" };
const current = () => judging.alone || judging.rows[judging.place - judging.first] || null;

async function queue(place, open) {
  const wanted = new URLSearchParams({ place: String(place), who: judging.who });
  if (open) wanted.set("open", "yes");
  const answer = await fetch("queue?" + wanted.toString(), { credentials: "omit" });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const found = await answer.json();
  Object.assign(judging, { rows: found.rows, first: found.place, place: found.place, of: found.of, judged: found.count, held: found.held });
}

async function goTo(place, open) {
  if (judging.busy) return;
  judging.busy = true;
  try {
    const end = judging.first + judging.rows.length;
    judging.alone = null;
    if (open || place < judging.first || place >= end) await queue(Math.max(0, Math.min(place, judging.of)), open);
    else judging.place = place;
    leaveForms();
    showSample();
  } catch (error) {
    tell("The samples could not be read: " + error.message, true);
  } finally {
    judging.busy = false;
  }
}

function leaveForms() {
  const row = current();
  Object.assign(judging, { reasons: false, editing: false, draft: null, answer: { ...(row && row.judged.answer) } });
}

// Any row of the page can be judged, whether or not it is in the queue.
async function judgeRow(id) {
  const answer = await fetch("sample?" + new URLSearchParams({ id, who: judging.who }).toString(), { credentials: "omit" });
  const found = answer.ok ? await answer.json() : { rows: [] };
  if (!found.rows.length) return tell("The sample could not be read.", true);
  judging.alone = found.rows[0];
  leaveForms();
  showSample();
  document.getElementById("review-title").focus();
  document.getElementById("review").scrollIntoView();
}

async function decide(action, more) {
  const row = current();
  if (!row || judging.busy) return;
  judging.busy = true;
  try {
    const sent = { sample_id: row.id, action, who: judging.who, last: row.judged.last, ...more };
    const answer = await fetch("decide", {
      method: "POST", credentials: "omit", body: JSON.stringify(sent),
      headers: { "Content-Type": "application/json", "X-Lapidary-Token": location.pathname.split("/")[1] },
    });
    const found = await answer.json();
    if (found.judged && typeof found.judged === "object") row.judged = found.judged;
    if (!answer.ok) {
      if (found.judged) showSample(); // somebody else has decided; what was written stays
      return tell(found.error || "The server answered " + answer.status, true);
    }
    Object.assign(judging, { judged: found.count, held: found.held });
    leaveForms();
    const said = action === "audit" ? "Answers taken." : `Sample ${row.id.slice(0, 8)} ${ACTIONS[action]}.`;
    judging.busy = false;
    if (action !== "undo" && !judging.alone) await goTo(judging.place + 1);
    else showSample();
    tell(said);
  } catch (error) {
    tell("Nothing was taken: " + error.message, true);
  } finally {
    judging.busy = false;
  }
}

function tell(text, wrong) {
  const said = document.getElementById("review-said");
  said.className = wrong ? "said wrong" : "said";
  said.replaceChildren(foreign(text));
}

function decision(one) {
  const why = one.reason ? ": " + reasonName(one.reason) : "";
  return h("li", {}, h("b", {}, ACTIONS[one.action] + why), " by ", foreign(one.who), h("span", { class: "quiet" }, " " + one.at.slice(0, 16).replace("T", " ") + " UTC"),
    one.note ? [" ", foreign(one.note)] : null,
    h("button", { type: "button", class: "small", onclick: () => decide("undo", { undoes: one.review_id }), "aria-label": "Undo: " + ACTIONS[one.action] + why }, "Undo"));
}

const keyed = (key, name, act, attributes) =>
  h("button", { type: "button", onclick: act, "aria-keyshortcuts": key, ...attributes }, name, " ", h("kbd", { "aria-hidden": "true" }, key));

function choices(row) {
  const refuses = row.judged.refuses, nothing = row.fate !== "kept" && !row.judged.caption;
  return h("div", { class: "choices" },
    keyed("K", "Keep", keep, { disabled: !!refuses || nothing }), keyed("R", "Reject", openReasons, { "aria-expanded": String(judging.reasons) }),
    REVIEW.edits ? keyed("E", "Edit", openEditor, { disabled: !!refuses, "aria-expanded": String(judging.editing) }) : null,
    row.judged.decisions.length ? keyed("U", "Undo", undo) : null,
    refuses || nothing ? h("p", { class: "quiet" }, foreign(refuses || "It has no caption: write one, and it may be released.")) : null);
}

function reasonList() {
  return h("fieldset", { class: "reason-list" }, h("legend", {}, "Why is it rejected?"),
    h("label", { for: "review-note" }, "Note (if any)", h("input", { id: "review-note", maxlength: "2000", autocomplete: "off" })),
    REVIEW.reasons.map(([reason, said], at) => keyed(String(at + 1), said, () => reject(at))));
}

function editor(row) {
  const text = judging.draft === null ? row.judged.caption || row.caption || "" : judging.draft;
  const field = h("textarea", { id: "review-text", rows: "6", maxlength: "8000", spellcheck: "true", oninput: (event) => { judging.draft = event.target.value; } });
  field.value = text;
  return h("div", { class: "editor" }, h("label", { for: "review-text" }, "Caption that goes out", field),
    h("div", { class: "choices" }, keyed("Ctrl+Enter", "Save", saveEdit), keyed("Esc", "Leave it", closeForms)));
}

function questions() {
  const box = (key, name, label) => h("label", { class: "question" },
    h("input", { type: "checkbox", checked: !!judging.answer[name], onchange: (event) => { judging.answer[name] = event.target.checked; }, "aria-keyshortcuts": key }), label, " ", h("kbd", { "aria-hidden": "true" }, key));
  return h("fieldset", { class: "questions" }, h("legend", {}, "About the caption"),
    box("F", "anything_false", "Does it say anything false?"), box("M", "subject_missing", "Is the main subject missing?"),
    keyed("Enter", "Answer, and on", answerAudit));
}
