// Change an entry of an input: the engine, behind `--serve`, computes everything again.
"use strict";

let firstLoss = null;

function showWhatIf(onNewData) {
  const { names, command } = data.whatif;
  firstLoss ??= data.loss;
  byId("how").replaceChildren(...(data.live
    ? ["Change a number: the engine computes the forward and the backward pass again, and every view shows the new ones."]
    : ["This page is a recording. To change these numbers and see everything computed again, run ", make("code", {}, command), "."]));
  byId("inputs").replaceChildren(...names.map((name) => inputTable(name, onNewData)));
  showOutcome();
}

function showOutcome(problem = "") {
  const change = data.loss - firstLoss;
  byId("outcome").textContent = problem || `loss ${number(data.loss)}` + (change ? ` (${change > 0 ? "+" : ""}${number(change)} from ${number(firstLoss)})` : "");
}

/** A table of number fields, with the gradient of each entry below it: which way the loss would go. */
function inputTable(name, onNewData) {
  const leaf = data.leaves.find((l) => l.name === name), array = data.arrays[leaf.value];
  const width = array.kept.at(-1), all = values(leaf.value), grads = values(leaf.grad);
  const table = make("table", { class: "entries", "data-input": name });
  for (let r = 0; r < all.length / width; r++) {
    table.append(make("tr", {}, make("th", {}, `${named(array.axes.at(-2) ?? "") || "row"} ${r}`), ...Array.from({ length: width }, (_, c) => {
      const i = r * width + c;
      const field = make("input", { type: "number", step: "0.1", value: Number(all[i].toPrecision(6)), disabled: !data.live, "aria-label": `${name}, row ${r}, column ${c}` });
      field.addEventListener("change", () => recompute(name, i, Number(field.value), onNewData));
      return make("td", {}, field, make("small", { title: "gradient of the loss" }, number(grads[i])));
    })));
  }
  return make("figure", {}, make("figcaption", {}, make("b", {}, name), " ", make("code", {}, leaf.shape), " and below each entry its gradient"), table);
}

async function recompute(name, i, value, onNewData) {
  const inputs = Object.fromEntries(data.whatif.names.map((n) => [n, Array.from(values(data.leaves.find((l) => l.name === n).value))]));
  inputs[name][i] = value;
  const answer = await fetch("recompute", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(inputs) });
  const text = await answer.text();
  if (!answer.ok) return showOutcome(text);
  onNewData(JSON.parse(text));
}
