// Sorts and filters the tables of the page, and keeps a page of a run that is under way
// up to date. Without it every table is there, whole and in the report's order.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const selects = [...document.querySelectorAll("#tools select")];
  const sorted = new Map(); // table id -> {column, descending}
  const large = new Set(); // ids of figures

  // Sorting. A column sorts by the numbers of its cells where it has them, else by
  // their text; what is missing comes last in both directions.

  function prepare(root) {
    for (const table of root.querySelectorAll("table")) {
      [...table.tBodies[0].rows].forEach((row, i) => { row.dataset.place = i; });
      for (const header of table.tHead.rows[0].cells) {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...header.childNodes);
        button.title = "Sort by this column";
        header.append(button);
      }
    }
    for (const caption of root.querySelectorAll("figcaption")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Enlarge";
      caption.prepend(button);
    }
  }

  const compareText = new Intl.Collator("en", { numeric: true }).compare;

  function compare(a, b, column, descending) {
    const x = a.cells[column], y = b.cells[column];
    const missing = x.classList.contains("missing") - y.classList.contains("missing");
    if (missing !== 0 || x.classList.contains("missing")) return missing;
    const order = "value" in x.dataset && "value" in y.dataset
      ? x.dataset.value - y.dataset.value
      : compareText(x.textContent, y.textContent);
    return descending ? -order : order;
  }

  function sort(table) {
    const headers = [...table.tHead.rows[0].cells];
    const by = sorted.get(table.id);
    const column = by ? headers.findIndex((header) => header.dataset.column === by.column) : -1;
    headers.forEach((header, i) => {
      if (i === column) header.setAttribute("aria-sort", by.descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    const body = table.tBodies[0];
    const before = [...body.rows];
    const rows = before.slice().sort((a, b) => a.dataset.place - b.dataset.place);
    if (column >= 0) rows.sort((a, b) => compare(a, b, column, by.descending));
    if (rows.some((row, i) => row !== before[i])) body.append(...rows);
  }

  function scale(figure) {
    const button = figure.querySelector("figcaption button");
    figure.classList.toggle("large", large.has(figure.id));
    button.setAttribute("aria-pressed", large.has(figure.id));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("figcaption button");
    if (!button) return;
    const figure = button.closest("figure");
    if (!large.delete(figure.id)) large.add(figure.id);
    scale(figure);
  });

  // A first click sorts ascending, a second descending, a third as the report has it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("thead button");
    if (!button) return;
    const table = button.closest("table"), column = button.parentElement.dataset.column;
    const by = sorted.get(table.id);
    if (!by || by.column !== column) sorted.set(table.id, { column, descending: false });
    else if (!by.descending) sorted.set(table.id, { column, descending: true });
    else sorted.delete(table.id);
    sort(table);
  });

  // Filtering. Rows say of which task, quantizer and backend they are; a row that is of
  // no backend stays whichever is chosen.

  function rows() { return [...document.querySelectorAll("tbody tr")]; }

  function offer(select, all) {
    const known = [...new Set(all.map((row) => row.dataset[select.name]).filter(Boolean))].sort(compareText);
    select.parentElement.hidden = known.length < 2;
    const wanted = ["", ...known];
    if (wanted.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
    const chosen = select.value;
    select.replaceChildren(...wanted.map((value) => new Option(value || "all", value)));
    select.value = known.includes(chosen) ? chosen : "";
  }

  function filter() {
    const all = rows();
    for (const select of selects) offer(select, all);
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of all) {
      const text = (row.textContent + " " + Object.values(row.dataset).join(" ")).toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) ||
        selects.some((select) => select.value && row.dataset[select.name] && row.dataset[select.name] !== select.value);
      shown += !row.hidden;
    }
    for (const table of document.querySelectorAll("table")) {
      const empty = table.parentElement.nextElementSibling;
      if (empty && empty.classList.contains("none")) empty.hidden = [...table.tBodies[0].rows].some((row) => !row.hidden);
    }
    count.value = shown === all.length ? `${shown} rows` : `${shown} of ${all.length} rows`;
    tools.hidden = all.length < 2;
  }

  function show() {
    document.querySelectorAll("table").forEach(sort);
    document.querySelectorAll("figure").forEach(scale);
    filter();
  }

  // What is folded away is printed too.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));

  tools.addEventListener("input", filter);
  document.getElementById("clear").addEventListener("click", () => {
    find.value = "";
    for (const select of selects) select.value = "";
    filter();
    find.focus();
  });
  prepare(document);
  show();

  // A run that is under way. Parts of the page that have changed are brought up to date
  // node by node, so that focus, selection, scrolling and what is unfolded stay.

  const status = document.getElementById("status");
  if (!status) return;
  const every = 1000; // milliseconds between looks at the run store
  const known = new Map(); // name of a part -> hash of what is shown

  function same(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.id === b.id;
  }

  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.nodeName === "svg") {
      if (old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh);
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open" && name !== "hidden" && name !== "aria-sort") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, fresh);
  }

  function children(old, fresh) {
    const next = [...fresh.childNodes];
    for (const [i, node] of next.entries()) {
      const now = old.childNodes[i];
      if (!now) old.append(node);
      else if (same(now, node)) morph(now, node);
      else now.replaceWith(node);
    }
    while (old.childNodes.length > next.length) old.lastChild.remove();
  }

  function unsorted(root) {
    for (const table of root.querySelectorAll("table")) {
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => a.dataset.place - b.dataset.place));
    }
  }

  function update(fresh) {
    // What the reader looks at stays where it is, whatever grows above it.
    const seen = [...document.querySelectorAll("main [id]")].find((element) => element.getBoundingClientRect().bottom > 0);
    const top = seen && scrollY > 0 ? seen.getBoundingClientRect().top : null;
    for (const [name, { hash, html }] of fresh) {
      known.set(name, hash);
      const place = document.getElementById("part-" + name);
      const made = document.createElement("template");
      made.innerHTML = html;
      prepare(made.content);
      unsorted(place);
      children(place, made.content);
    }
    show();
    if (top !== null && seen.isConnected) {
      scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: "instant" });
    }
  }

  function tell(words, kind) {
    if (status.textContent !== words) status.textContent = words;
    status.className = "status " + kind;
  }

  async function look() {
    let ended = false;
    try {
      const query = new URLSearchParams(location.search);
      for (const hash of known.values()) query.append("known", hash);
      const answer = await fetch("state?" + query);
      if (!answer.ok) throw new Error(await answer.text());
      const state = await answer.json();
      ended = state.ended;
      const changed = Object.entries(state.parts).filter(([name, part]) => part.hash !== known.get(name));
      if (changed.length > 0) update(changed);
      tell(ended ? "the run has ended" : "live", ended ? "ended" : "");
    } catch (problem) {
      tell("no answer from bittern: it has ended, or was stopped", "lost");
    }
    if (!ended) setTimeout(look, every);
  }
  look();
})();
