// Texts before and after, with what verification found.

const MARKS = {
  false: ["del", "false", "said not to be true of the image"],
  dropped: ["del", "dropped", "cut out, because it leans on something false"],
  true: ["span", "true", "said to be true of the image"],
};

function pieces(parts) {
  const made = parts.map(([text, mark, probability]) => {
    if (!mark) return foreign(text);
    const [tag, name, about] = MARKS[mark];
    const sure = probability === null ? "" : `, probability of true ${short(probability)}`;
    const shown = h(tag, { class: "mark " + name, title: about + sure }, foreign(text));
    return mark === "true" ? shown : [h("span", { class: "hidden" }, `[${name}: `), shown, h("span", { class: "hidden" }, "]")];
  });
  return h("span", { class: "pieces" }, made);
}

const captionOf = (row) => (row.captions || []).find((c) => c.kind === row.kind);

// What a row says after curation: its caption in pieces where verification looked at it.
function after(row) {
  const own = captionOf(row);
  if (own && own.pieces.some((p) => p[1])) return pieces(own.pieces);
  return row.caption ? foreign(row.caption) : null;
}

const hasMarks = (row) => (row.captions || []).some((c) => c.pieces.some((p) => p[1] === "false" || p[1] === "dropped"));

function legend() {
  return h("p", { class: "legend quiet" }, "Marked: ", h("del", { class: "mark false" }, "false of the image"), " ",
    h("del", { class: "mark dropped" }, "dropped, for it leans on something false"), " ",
    h("span", { class: "mark true" }, "held true"), ". What is struck out does not stand in the release.");
}
