// The page's state, its keys and its tabs.
"use strict";

let position = 0; // of the walk through backward: a number into `seen.stops`
let seen = null; // what fold.js makes visible
const shown = new Set(); // views that have been drawn since the data or the theme changed

const graph = new Graph(byId("graph"), (id) => goTo(seen.stops.indexOf(id)), toggle);
const views = { backward: () => { redraw(); }, attention: showAttention, training: showTraining, whatif: () => showWhatIf(replaceData) };
const there = { backward: true, attention: Boolean(data.attention), training: Boolean(data.training), whatif: Boolean(data.whatif) };

function goTo(stop) {
  position = Math.min(Math.max(stop, 0), seen.stops.length - 1);
  const id = seen.stops[position];
  graph.mark(position);
  showDetails(id, position, seen.stops.length, byId("values").checked, () => toggle(idNumber(id)));
  byId("fold").textContent = isCall(id) ? "unfold" : "fold";
  byId("fold").disabled = !isCall(id) && path(data.steps[idNumber(id)].call).length === 0;
}

/** Draw again after folding or new data, and stay at the step we are at. */
function redraw(step = null) {
  seen = visible();
  graph.show(seen);
  goTo(step === null ? position : seen.stops.indexOf(shownAs(step)));
}

const currentStep = () => Math.max(...stepsOf(seen.stops[position]));

/** Fold or unfold call `c`. */
function toggle(c) {
  const step = isCall(seen.stops[position]) && idNumber(seen.stops[position]) === c ? Math.max(...data.calls[c].steps) : currentStep();
  if (!folded.delete(c)) folded.add(c);
  redraw(step);
}

/** Fold or unfold the module at the current stop. */
function toggleHere() {
  const id = seen.stops[position];
  const c = isCall(id) ? idNumber(id) : path(data.steps[idNumber(id)].call).at(-1);
  if (c !== undefined) toggle(c);
}

function replaceData(newData) {
  const step = currentStep();
  data = { ...newData, live: data.live };
  index();
  redraw(step);
  showWhatIf(replaceData);
  byId("note").textContent = data.note;
  shown.clear();
  shown.add("whatif");
}

function open(view) {
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== view;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.view === view);
  if (!shown.has(view)) views[view]();
  shown.add(view);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  shown.clear();
  open(document.querySelector("[role=tab][aria-selected=true]")?.dataset.view ?? "backward");
}

const KEYS = {
  ArrowRight: () => goTo(position + 1), ArrowDown: () => goTo(position + 1),
  ArrowLeft: () => goTo(position - 1), ArrowUp: () => goTo(position - 1),
  Home: () => goTo(0), End: () => goTo(seen.stops.length - 1),
  Enter: toggleHere, 0: () => graph.fit(),
  v: () => { byId("values").checked = !byId("values").checked; goTo(position); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=number], select")) return;
  if (event.key === "d") return setTheme(theme() === "dark" ? "light" : "dark");
  if (byId("backward").hidden || !KEYS[event.key]) return;
  if (event.key === "Enter" && event.target.matches("button, input")) return; // it presses the button
  event.preventDefault();
  KEYS[event.key]();
});

byId("previous").addEventListener("click", () => goTo(position - 1));
byId("next").addEventListener("click", () => goTo(position + 1));
byId("fold").addEventListener("click", toggleHere);
byId("fold-all").addEventListener("click", () => { const step = currentStep(); foldAll(); redraw(step); });
byId("unfold-all").addEventListener("click", () => { const step = currentStep(); folded.clear(); redraw(step); });
byId("fit").addEventListener("click", () => graph.fit());
byId("values").addEventListener("change", () => goTo(position));
byId("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.hidden = !there[tab.dataset.view];
  tab.addEventListener("click", () => open(tab.dataset.view));
}

byId("title").textContent = data.title;
byId("note").textContent = data.note;
index();
foldAtFirst();
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
byId("graph").focus({ preventScroll: true });
