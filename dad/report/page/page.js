"use strict";
// Sorting, filters, the enlarged figure and the way to a cell. Without this script the page still shows everything but the comparer.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const announce = (text) => { document.getElementById("announcement").textContent = text; };

  // ---- tables: one column at a time; up, down, then the paper's order
  const key = (cell) => {
    const text = cell.dataset.sort;
    if (text === undefined || text === "") return null;
    const value = Number(text);
    return Number.isNaN(value) ? text : value;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en"));

  const sortBy = (table, header) => {
    const headers = all("thead tr:last-child > th", table);
    const place = headers.indexOf(header);
    const next = { none: "ascending", ascending: "descending", descending: "none" }[header.getAttribute("aria-sort")];
    headers.forEach((other) => { if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none"); });
    header.setAttribute("aria-sort", next);
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => a.dataset.order - b.dataset.order);
    if (next !== "none") {
      const sign = next === "ascending" ? 1 : -1;
      const keyed = rows.map((row) => [key(row.cells[place]), row]);
      // what has no value stays at the end in both directions
      keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
      rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
    }
    body.append(...rows);
    const name = header.textContent.trim();
    announce(next === "none" ? "In the paper’s order" : `Sorted by ${name}, ${next}`);
  };
  all("table[data-table]").forEach((table) => {
    [...table.tBodies[0].rows].forEach((row, order) => { row.dataset.order = order; });
    all("thead button", table).forEach((button) => button.addEventListener("click", () => sortBy(table, button.closest("th"))));
  });

  // ---- claims and cells: what is shown
  all('[data-filter="claims"]').forEach((box) => box.addEventListener("change", (event) => {
    all("#claims tr[data-verdict]").forEach((item) => { item.hidden = Boolean(event.target.value) && item.dataset.verdict !== event.target.value; });
  }));
  const filter = document.getElementById("cell-filter");
  const filterCells = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    all(".cell").forEach((cell) => {
      const text = cell.querySelector("summary").textContent.toLowerCase();
      cell.hidden = !words.every((word) => text.includes(word));
      shown += !cell.hidden;
    });
    document.getElementById("cell-count").textContent = `${shown} cell${shown === 1 ? "" : "s"}`;
  };
  filter.addEventListener("input", filterCells);

  // ---- a link into a closed cell opens it
  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const closed = target.closest("details");
    if (!closed) return;
    if (closed.hidden) { filter.value = ""; filterCells(); }
    closed.open = true;
    target.scrollIntoView();
    closed.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();
  let opened = [];
  addEventListener("beforeprint", () => { opened = all("details:not([open])"); opened.forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((one) => { one.open = false; }); });

  // ---- the section on screen is marked in the navigation
  const links = new Map(all(".sections > ul > li > a").map((link) => [link.hash.slice(1), link]));
  const onScreen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    entries.forEach((entry) => { if (entry.isIntersecting) onScreen.add(entry.target.id); else onScreen.delete(entry.target.id); });
    const current = [...links.keys()].find((id) => onScreen.has(id));
    links.forEach((link, id) => { if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); });
  }, { rootMargin: "-15% 0px -70% 0px" });
  links.forEach((_, id) => watcher.observe(document.getElementById(id)));

  // ---- figures, enlarged
  const viewer = document.getElementById("viewer");
  const stage = viewer.querySelector(".viewer-stage");
  const picture = stage.querySelector("img");
  const size = viewer.querySelector('[data-do="size"]');
  const figures = all(".zoomable");
  let shown = 0;
  const actualSize = (on, x = 0.5, y = 0.5) => {
    stage.classList.toggle("actual", on);
    size.setAttribute("aria-pressed", String(on));
    stage.scrollTo({ left: x * stage.scrollWidth - stage.clientWidth / 2, top: y * stage.scrollHeight - stage.clientHeight / 2, behavior: "instant" });
  };
  const show = (place) => {
    shown = (place + figures.length) % figures.length;
    const image = figures[shown].querySelector("img");
    picture.src = image.src;
    picture.alt = image.alt;
    document.getElementById("viewer-title").textContent = figures[shown].dataset.title;
    actualSize(false);
  };
  figures.forEach((button, place) => button.addEventListener("click", () => { show(place); viewer.showModal(); stage.focus(); }));
  picture.addEventListener("click", (event) => {
    actualSize(!stage.classList.contains("actual"), event.offsetX / picture.clientWidth, event.offsetY / picture.clientHeight);
  });
  const actions = {
    previous: () => show(shown - 1), next: () => show(shown + 1), close: () => viewer.close(),
    size: () => actualSize(!stage.classList.contains("actual")),
  };
  all("[data-do]", viewer).forEach((button) => button.addEventListener("click", actions[button.dataset.do]));
  viewer.addEventListener("keydown", (event) => {
    if (stage.classList.contains("actual") && event.target === stage) return;  // there the arrows scroll
    if (event.key === "ArrowLeft") actions.previous();
    if (event.key === "ArrowRight") actions.next();
  });
  viewer.addEventListener("close", () => figures[shown].focus());
})();
