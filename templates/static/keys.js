// Keyboard shortcuts, and lines chosen in a file. Links carry their keys in `data-key`; nothing here does what a link
// or a field does not do as well.
"use strict";

const STORED = "gitgrit-keys";

function areOff() {
  try { return localStorage.getItem(STORED) === "off"; } catch { return false; }
}

function wireSwitch(inside) {
  const box = inside.querySelector("#keys-on");
  if (!box) return;
  box.checked = !areOff();
  box.closest("[hidden]")?.removeAttribute("hidden");
  box.addEventListener("change", () => {
    try { localStorage.setItem(STORED, box.checked ? "on" : "off"); } catch { box.checked = true; }
  });
}

async function showSheet() {
  const answer = await fetch("/help/keyboard");
  if (!answer.ok) { location.href = "/help/keyboard"; return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const sheet = document.createElement("dialog");
  sheet.className = "sheet";
  sheet.setAttribute("aria-label", "Keyboard shortcuts");
  const form = document.createElement("form");
  form.method = "dialog";
  const close = document.createElement("button");
  close.textContent = "Close";
  form.append(close);
  const parts = [page.querySelector("h1"), page.querySelector("#shortcuts"), page.querySelector(".keys-switch")];
  sheet.append(...parts.filter(Boolean).map((part) => document.adoptNode(part)), form);
  sheet.addEventListener("close", () => sheet.remove());
  document.body.append(sheet);
  wireSwitch(sheet);
  sheet.showModal();
}

function goToLine() {
  const line = Number.parseInt(prompt("Go to line") ?? "", 10);
  if (line > 0) location.hash = `L${line}`;
}

function act(keys) {
  if (keys === "?") return showSheet();
  if (keys === "l" && document.querySelector(".code li[id]")) return goToLine();
  const found = document.querySelector(`[data-key="${keys}"]`);
  if (!found) return false;
  if (found.matches("input")) found.focus(); else found.click();
  return true;
}

let begun = "";
let forget = 0;
addEventListener("keydown", (event) => {
  const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing && !event.defaultPrevented;
  if (!isPlain || event.key.length !== 1 || !/[a-z?/]/.test(event.key)) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog") || areOff()) return;
  clearTimeout(forget);
  if (event.key === "g" && !begun) {
    begun = "g ";
    forget = setTimeout(() => { begun = ""; }, 1500);
    return;
  }
  const keys = begun + event.key;
  begun = "";
  if (act(keys) !== false) event.preventDefault();
});

// `#L10-L20` marks a stretch of lines; a click with Shift chooses one.
function range(hash) {
  const found = /^#L(\d+)-L?(\d+)$/.exec(hash);
  if (!found) return null;
  const [one, other] = [Number(found[1]), Number(found[2])];
  return [Math.min(one, other), Math.max(one, other)];
}

function markLines() {
  for (const line of document.querySelectorAll(".code li.chosen")) line.classList.remove("chosen");
  const lines = range(location.hash);
  if (!lines) return;
  for (let at = lines[0]; at <= Math.min(lines[1], lines[0] + 20000); at += 1) {
    document.getElementById(`L${at}`)?.classList.add("chosen");
  }
  document.getElementById(`L${lines[0]}`)?.scrollIntoView({ block: "center" });
}

addEventListener("hashchange", markLines);
document.addEventListener("click", (event) => {
  const number = event.target.closest?.(".code li > a[href]:first-child");
  const before = /^#L(\d+)/.exec(location.hash);
  if (!number || !event.shiftKey || !before) return;
  event.preventDefault();
  const [one, other] = [Number(before[1]), Number(number.textContent)].sort((a, b) => a - b);
  location.hash = `L${one}-L${other}`;
});
// The number of a changed line is an address, too.
document.addEventListener("click", (event) => {
  const cell = event.target.closest?.(".lines td[id]");
  if (cell) location.hash = cell.id;
});
// A permanent link keeps the lines that are chosen.
document.querySelector('[data-key="y"]')?.addEventListener("click", (event) => {
  event.currentTarget.hash = location.hash;
});
markLines();
wireSwitch(document);
