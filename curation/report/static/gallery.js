// A page of tables and pictures: DATA says all of it.

function pictured(shown) {
  const size = shown.size && shown.size[0] ? shown.size : null;
  return h("li", { class: "card" },
    picture({ picture: shown.picture, size, alt: shown.text }),
    h("div", { class: "card-text" },
      h("p", {}, h("b", {}, foreign(shown.value))),
      h("p", { class: "clamp" }, shown.text ? foreign(shown.text) : h("span", { class: "quiet" }, "no text")),
      shown.note ? h("p", { class: "clamp two quiet" }, foreign(shown.note)) : null));
}

function group(found) {
  return [h("h3", {}, foreign(found.title), h("span", { class: "quiet" }, " " + plural(found.cards.length, "picture"))),
    found.cards.length ? h("ul", { class: "cards" }, found.cards.map(pictured)) : h("p", { class: "quiet" }, found.none)];
}

function part(found) {
  const columns = found.columns || [];
  const rows = (found.rows || []).map((row) => row.map((cell) => (typeof cell === "number" ? number(cell) : foreign(cell))));
  return section(found.id, found.title, found.about,
    rows.length ? table(found.title, columns, rows) : null,
    (found.notes || []).map((note) => h("p", {}, foreign(note))), (found.groups || []).map(group));
}

function main() {
  const tile = (t) => h("span", { class: "tile " + t.kind }, h("b", {}, number(t.number)), h("span", {}, t.name));
  add(document.getElementById("top"), [
    h("div", { class: "title" }, h("p", { class: "eyebrow" }, DATA.eyebrow), h("h1", {}, foreign(DATA.title)), h("p", { class: "about" }, foreign(DATA.about))),
    h("div", { class: "tiles" }, (DATA.tiles || []).map(tile))]);
  const sections = DATA.parts.map(part);
  document.getElementById("main").replaceChildren(...sections);
  document.getElementById("contents").append(h("ul", {}, sections.map((s) => h("li", {}, h("a", { href: "#" + s.id }, s.querySelector("h2").textContent)))));
  document.documentElement.dataset.ready = "yes";
}

main();
