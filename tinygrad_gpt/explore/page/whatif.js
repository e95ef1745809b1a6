// Change an entry of an input: the engine, behind `--serve`, computes everything again.
"use strict";

let first = null; // the data that the page came with
let changed = null; // the last change: {where, by, gradient, loss}, the latter two from before it

function showWhatIf(onNewData) {
  first ??= data;
  const { names, command } = data.whatif;
  byId("how").replaceChildren(...(data.live
    ? ["Change a number: the engine computes the forward and the backward pass again, and every view shows the new ones. ",
      make("button", { onclick: () => { changed = null; recompute({}, onNewData); } }, "as at first")]
    : ["This page is a recording. To change these numbers and see everything computed again, run ", make("code", {}, command), "."]));
  if (!byId("inputs").children.length) byId("inputs").append(...names.map((name) => inputTable(name, onNewData)));
  names.forEach(refresh);
  showOutcome();
  byId("ops").replaceChildren(...opRows());
}

function showOutcome(problem = "") {
  const signed = (x) => (x > 0 ? "+" : "") + number(x);
  const change = data.loss - first.loss;
  byId("outcome").textContent = problem || `loss ${number(data.loss)}` + (change ? ` (${signed(change)} from ${number(first.loss)})` : "");
  byId("promised").textContent = !changed || problem ? "" : `${changed.where} changed by ${signed(changed.by)}, where the gradient was ${number(changed.gradient)}: `
    + `to first order the loss changes by ${signed(changed.by * changed.gradient)}; it changed by ${signed(data.loss - changed.loss)}.`;
}

const inputLeaf = (name) => data.leaves.find((leaf) => leaf.name === name);

/** A table of number fields, with the gradient of each entry below it: which way the loss would go. */
function inputTable(name, onNewData) {
  const leaf = inputLeaf(name), array = data.arrays[leaf.value], width = array.kept.at(-1);
  const table = make("table", { class: "entries", "data-input": name });
  for (let r = 0; r < values(leaf.value).length / width; r++) {
    table.append(make("tr", {}, make("th", {}, `${named(array.axes.at(-2) ?? "") || "row"} ${r}`), ...Array.from({ length: width }, (_, c) => {
      const field = make("input", { type: "number", step: "0.1", disabled: !data.live, "aria-label": `${name}, row ${r}, column ${c}` });
      field.addEventListener("change", () => changeEntry(name, r * width + c, field, onNewData));
      return make("td", {}, field, make("small", { title: "gradient of the loss" }));
    })));
  }
  return make("figure", {}, make("figcaption", {}, make("b", {}, name), " ", make("code", {}, leaf.shape), " and below each entry its gradient"), table);
}

/** Put the numbers of `data` into the table of input `name`: red where the loss would go up with the entry, blue where down. */
function refresh(name) {
  const leaf = inputLeaf(name), all = values(leaf.value), grads = Array.from(values(leaf.grad));
  const most = Math.max(...grads.map(Math.abs)) || 1;
  document.querySelectorAll(`[data-input="${name}"] td`).forEach((cell, i) => {
    const [field, small] = cell.children;
    field.value = Number(all[i].toPrecision(4));
    small.textContent = number(grads[i]);
    small.style.setProperty("--heat", (Math.abs(grads[i]) / most).toFixed(3));
    small.className = grads[i] > 0 ? "up" : "down";
  });
}

/** The norms of each op's value and gradient, and by how much they have changed. */
function opRows() {
  const cell = (n, was) => {
    const [now, before] = [data.arrays[n]?.norm ?? NaN, first.arrays[was]?.norm ?? NaN];
    const percent = 100 * (now / before - 1);
    return make("td", {}, number(now), Math.abs(percent) < 0.005 || !Number.isFinite(percent) ? null
      : make("b", {}, ` ${percent > 0 ? "+" : "−"}${Math.abs(percent).toFixed(2)} %`));
  };
  return [
    make("tr", {}, ...["op", "shape", "|y|", "|dy|"].map((title) => make("th", {}, title))),
    ...data.steps.map((step, n) => make("tr", {}, make("td", {}, step.name), make("td", {}, make("code", {}, step.outputs[0].shape)),
      cell(step.outputs[0].value, first.steps[n].outputs[0].value), cell(step.outputs[0].grad, first.steps[n].outputs[0].grad))),
  ];
}

function changeEntry(name, i, field, onNewData) {
  const leaf = inputLeaf(name), value = Number(field.value);
  const inputs = Object.fromEntries(data.whatif.names.map((n) => [n, Array.from(values(inputLeaf(n).value))]));
  changed = { where: field.getAttribute("aria-label"), by: value - inputs[name][i], gradient: values(leaf.grad)[i], loss: data.loss };
  inputs[name][i] = value;
  return recompute(inputs, onNewData);
}

async function recompute(inputs, onNewData) {
  const answer = await fetch("recompute", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(inputs) });
  const text = await answer.text();
  if (!answer.ok) return showOutcome(text);
  onNewData(JSON.parse(text));
}
