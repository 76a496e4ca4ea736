// One row: as a card of a list, and whole in a dialog.

function picture(row, className) {
  const words = row.caption || row.alt || "no text";
  if (row.picture) {
    const [width, height] = row.size || [256, 256];
    return h("img", { src: row.picture, alt: words.slice(0, 200), width, height, loading: "lazy", decoding: "async", class: className || "picture" });
  }
  return h("span", { class: "none " + (className || "picture") }, "no picture");
}

function fate(row) {
  const why = row.reason ? `${row.stage}: ${reasonName(row.reason)}` : row.split ? `kept, ${row.split}` : row.fate;
  return h("span", { class: "fate " + row.fate }, why);
}

function card(row) {
  const text = row.caption || row.alt || "";
  return h("li", { class: "card" },
    h("button", { type: "button", class: "open", "aria-label": "Show the row " + row.id.slice(0, 8) + ", " + (row.reason ? reasonName(row.reason) : row.fate), onclick: () => show(row) },
      row.near && row.picture ? pair(row) : picture(row)),
    h("div", { class: "card-text" }, fate(row),
      h("p", { class: "clamp" }, text ? foreign(text) : h("span", { class: "quiet" }, "no text")),
      row.detail && row.fate !== "kept" ? h("p", { class: "clamp two quiet" }, foreign(row.detail)) : null));
}

// A picture and what it is too near to, side by side.
function pair(row) {
  return h("span", { class: "pair" }, picture(row), picture({ ...row.near, caption: row.near.alt || row.near.role }));
}

const apart = (near) => near.distance === null || near.distance === undefined ? "" :
  `${near.distance} of 64 bits apart` + (near.second === null || near.second === undefined ? "" : `, ${near.second} of 256 in the second look`);

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, known.map(([name, value]) =>
    [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : foreign(value))]));
}

function captionBlock(caption, row) {
  const notes = caption.reasons.length ? caption.reasons.map(reasonName).join(", ") : null;
  const chosen = caption.kind === row.kind && row.fate === "kept" ? ", in the release" : "";
  return h("div", { class: "block" },
    h("h4", {}, foreign(caption.kind), h("span", { class: "quiet" }, (caption.passed ? ": passed" : ": did not pass") + chosen)),
    h("p", {}, pieces(caption.pieces)),
    notes && h("p", { class: "quiet" }, "found: " + notes),
    caption.detail && h("p", { class: "quiet" }, foreign(caption.detail)));
}

function show(row) {
  const dialog = document.getElementById("detail");
  const own = h("figure", {}, picture(row, "large"), h("figcaption", {}, row.near ? "this image" : "", row.size ? ` ${row.size[0]} × ${row.size[1]} px` : ""));
  const near = row.near;
  const other = near && h("figure", {}, picture({ ...near, caption: near.alt || near.role }, "large"),
    h("figcaption", {}, foreign(near.role), " ", apart(near)));
  const size = (n, of) => (n === undefined ? "" : ` (${plural(n, of)})`);
  dialog.replaceChildren();
  add(dialog, [
    h("header", {}, h("h3", { id: "detail-title", tabindex: "-1" }, "Row ", h("code", {}, foreign(row.id.slice(0, 16)))), fate(row),
      DATA.review ? h("button", { type: "button", onclick: () => { dialog.close(); judgeRow(row.id); } }, "Judge it") : null,
      h("button", { type: "button", class: "close", onclick: () => dialog.close() }, "Close")),
    h("div", { class: "figures" + (near ? " two" : "") }, own, other),
    row.detail ? h("p", { class: "detail-text" }, foreign(row.detail)) : null,
    h("h4", {}, "Before: alt text" + size(row.alt_tokens, "CLIP token")), h("p", {}, row.alt ? foreign(row.alt) : h("span", { class: "quiet" }, "empty")),
    row.caption ? [h("h4", {}, (row.fate === "kept" ? "After: caption" : "Caption") + size(row.words, "word")), h("p", {}, after(row))] : null,
    (row.captions || []).length ? h("details", { open: row.fate !== "kept" }, h("summary", {}, "Captions of all kinds"), row.captions.map((c) => captionBlock(c, row)), legend()) : null,
    facts([...(row.evidence || []), ["near", near ? foreign(near.id) : null], ["its text", near ? near.alt : null], ["its data set", near ? near.dataset : null],
      ["its words", near ? near.detail : null], ["address", row.url], ["source", `${row.file}, row ${row.row}`], ["sample_id", row.id], ["release shard", row.shard],
      ...(row.further || []).map(([name, values]) => [name, values.join("; ")])])]);
  dialog.showModal();
  dialog.scrollTop = 0;
  document.getElementById("detail-title").focus();
}
