// What the page can do beyond being read: sort tables, tell of wide ones, search pictures, print what is folded away.
// Without it everything is there in the order in which it was written.
"use strict";

const MISSING = Symbol();

function valueOf(row, column) {
  const cell = row.cells[column];
  if (!cell) return MISSING;
  const text = cell.textContent.trim();
  const number = Number(cell.dataset.value ?? (text || NaN));
  if (!Number.isNaN(number)) return number;
  return text === "–" || text === "" ? MISSING : text.toLowerCase();
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const written = [...body.rows];
  if (written.length < 3 || table.querySelector("[rowspan], tbody [colspan]")) return;

  function sortBy(column) {
    const head = heads[column];
    const before = head.getAttribute("aria-sort");
    // numbers are read from the largest down, words from A on; the third time, as it was written
    const values = new Map(written.map((row) => [row, valueOf(row, column)]));
    const isNumeric = [...values.values()].some((value) => typeof value === "number");
    const [first, second] = isNumeric ? ["descending", "ascending"] : ["ascending", "descending"];
    const now = before === first ? second : before === second ? "none" : first;
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", now);
    const sign = now === "descending" ? -1 : 1;
    const rows = [...written];
    if (now !== "none") {
      rows.sort((a, b) => {
        const [left, right] = [values.get(a), values.get(b)];
        if (left === MISSING || right === MISSING) return (left === MISSING) - (right === MISSING);
        return sign * compare(left, right);
      });
    }
    body.append(...rows);
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    const arrow = document.createElement("span");
    arrow.setAttribute("aria-hidden", "true");
    const link = head.querySelector("a");
    if (link) {
      button.setAttribute("aria-label", "sort by " + head.textContent.trim());
      head.append(button);
    } else {
      button.append(...head.childNodes);
      head.append(button);
    }
    button.append(arrow);
    button.title = "sort";
    button.addEventListener("click", () => sortBy(column));
    head.setAttribute("aria-sort", "none");
  });
}

function makeSearchable(form) {
  const section = form.parentElement;
  const cards = [...section.querySelectorAll("li[data-test]")];
  const words = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
  const groups = [...section.querySelectorAll("details.group")];
  const wasOpen = new Map();
  const box = form.querySelector("input");
  const select = form.querySelector("select");
  const said = form.querySelector("output");
  form.hidden = false;

  function show() {
    const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isActive = wanted.length > 0 || select.value !== "";
    let count = 0;
    for (const card of cards) {
      const isTest = select.value === "" || card.dataset.test === select.value;
      const isShown = isTest && wanted.every((word) => words.get(card).includes(word));
      card.hidden = !isShown;
      count += isShown;
    }
    for (const group of groups) {
      const isEmpty = !group.querySelector("li[data-test]:not([hidden])");
      group.hidden = isActive && isEmpty;
      if (isActive && !wasOpen.has(group)) wasOpen.set(group, group.open);
      if (isActive) group.open = !isEmpty;
      else if (wasOpen.has(group)) group.open = wasOpen.get(group);
    }
    if (!isActive) wasOpen.clear();
    said.textContent = `${count} of ${cards.length} shown`;
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  // a browser that goes back to the page fills in what was typed
  window.addEventListener("pageshow", show);
}

function openForPrint() {
  let closed = [];
  const open = () => {
    closed.push(...document.querySelectorAll("details:not([open])"));
    for (const one of closed) one.open = true;
  };
  const close = () => {
    for (const one of closed) one.open = false;
    closed = [];
  };
  matchMedia("print").addEventListener("change", (event) => (event.matches ? open() : close()));
}

function tellOfScrolling(box) {
  const tell = () => box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1);
  // the word takes a line: after the frame, or the observer would be called for its own work
  new ResizeObserver(() => requestAnimationFrame(tell)).observe(box);
}

function openTarget() {
  // a link to something that is folded away opens it
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
}

document.querySelectorAll(".wide > table").forEach(makeSortable);
document.querySelectorAll(".wide").forEach(tellOfScrolling);
document.querySelectorAll("form.chooser").forEach(makeSearchable);
openForPrint();
openTarget();
window.addEventListener("hashchange", openTarget);
