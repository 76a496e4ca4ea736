// Puts the page together.

function header() {
  const f = DATA.funnel;
  const tile = (n, name, filters) => h("a", { class: "tile " + name, href: rowsAt(filters) }, h("b", {}, number(n)), h("span", {}, name));
  const kind = DATA.review ? (DATA.review.audit ? "Lapidary audit" : "Lapidary review") : "Lapidary report";
  add(document.getElementById("top"), [
    h("div", { class: "title" }, h("p", { class: "eyebrow" }, kind), h("h1", {}, foreign(DATA.root)), h("p", { class: "about" }, DATA.about)),
    h("div", { class: "tiles" }, tile(f.kept, "kept", { fate: "kept" }), tile(f.rejected, "rejected", { fate: "rejected" }), f.failed ? tile(f.failed, "failed", { fate: "failed" }) : null)]);
}

function main() {
  header();
  const review = DATA.review ? reviewSection() : null;
  const sections = [review, funnelSection(), pairsSection(), rejectedSection(), clustersSection(), scoresSection(), captionsSection(), hostsSection(), costsSection(), changesSection(), rowsSection()].filter(Boolean);
  document.getElementById("main").replaceChildren(...sections);
  const links = sections.map((s) => h("li", {}, h("a", { href: "#" + s.id }, s.querySelector("h2").textContent)));
  document.getElementById("contents").append(h("ul", {}, links));
  const dialog = document.getElementById("detail");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  window.addEventListener("hashchange", follow);
  if (location.hash.startsWith("#rows")) follow();
  else apply({});
  if (DATA.review) beginReview();
  document.documentElement.dataset.ready = "yes";
}

main();
