// What stands below the graph: the op that backward is at, its formula, its gradients and its code.
"use strict";

/** Where the gradient of an input goes, in words. */
function sourceName(input) {
  if (!input.from) return input.label;
  if (input.from.leaf !== undefined) return data.leaves[input.from.leaf].name || "leaf";
  return data.steps[input.from.step].name;
}

/** Show node `id` in the three columns; `valuesToo`: the values instead of the gradients. */
function showDetails(id, position, count, showValues, onToggle) {
  const call = isCall(id) ? data.calls[idNumber(id)] : null;
  byId("position").value = `${position + 1} of ${count}: ${call ? call.path : data.steps[idNumber(id)].name}`;
  byId("about").replaceChildren(...(call ? aboutCall(call, onToggle) : aboutStep(data.steps[idNumber(id)])));
  fitFormula(document.querySelector(".formula"));
  byId("code").replaceChildren(...(call ? [] : codeOf(data.steps[idNumber(id)])));
  byId("details").classList.toggle("no-code", call !== null);
  const cards = call ? callCards(call, showValues) : stepCards(data.steps[idNumber(id)], showValues);
  byId("maps").replaceChildren(...cards);
  requestAnimationFrame(() => { // plots take longest: while a key is held down, those that are gone already wait for ever
    for (const card of cards) if (card.isConnected) card.show?.();
  });
}

function aboutStep(step) {
  const op = data.ops[step.name];
  const formula = make("div", { class: "formula", title: op.vjp });
  formula.innerHTML = op.formula.join(""); // MathML that Python made
  const outer = step.call === null ? [] : [make("p", { class: "path" }, data.calls[step.call].path)];
  return [
    make("h2", {}, step.name), ...outer, formula,
    make("p", { class: "does" }, op.does.split("\n\n")[0]),
    make("p", { class: "numbers" }, `forward ${number(step.milliseconds[0])} ms · backward ${number(step.milliseconds[1])} ms`),
    step.settings ? make("p", { class: "numbers" }, step.settings) : null,
  ].filter(Boolean);
}

/** Write a formula smaller, as far as it can be read, until it fits into its place. */
function fitFormula(place) {
  for (let size = 16; size >= 11 && place && place.scrollWidth > place.clientWidth; size--) place.style.fontSize = `${size}px`;
}

function aboutCall(call, onToggle) {
  const row = (n) => make("tr", {},
    make("td", {}, data.steps[n].name), make("td", {}, data.ops[data.steps[n].name].vjp),
    make("td", {}, data.steps[n].outputs[0].grad === null ? "" : number(data.arrays[data.steps[n].outputs[0].grad].norm)));
  return [
    make("h2", {}, `${call.path} `, make("small", {}, call.kind)),
    make("p", {}, `${call.steps.length} ops, folded. `, make("button", { onclick: onToggle }, "unfold (Enter)")),
    make("table", { class: "ops" },
      make("tr", {}, make("th", {}, "op"), make("th", {}, "gradient"), make("th", {}, "|dy|")),
      ...call.steps.toReversed().map(row)),
  ];
}

/** Gradients that arrive at a step's outputs, and those it sends back to its inputs. */
function stepCards(step, showValues) {
  const several = step.outputs.length > 1;
  const outputs = step.outputs.map((y, i) => {
    const n = showValues ? y.value : y.grad;
    const title = (showValues ? "y" : "dy") + (several ? i : "") + (showValues ? ", the output" : " arrives");
    return n === null ? null : arrayCard(n, title, y.shape);
  });
  const inputs = step.inputs.map((input) => {
    const n = showValues ? valueOf(input) : input.grad;
    if (n === null) return null;
    const notes = input.summed && !showValues ? [`Σ over ${input.summed.join(", ")}: the input was broadcast along it, so the gradients of its copies are added`] : [];
    const title = showValues ? `${input.name} from ${sourceName(input)}` : `d${input.name} goes back to ${sourceName(input)}`;
    return arrayCard(n, title, input.shape, notes);
  });
  return [...outputs, ...inputs].filter(Boolean);
}

function valueOf(input) {
  if (!input.from) return input.value;
  if (input.from.leaf !== undefined) return data.leaves[input.from.leaf].value;
  return data.steps[input.from.step].outputs[input.from.output].value;
}

/** The gradients at the border of a folded module, and those of its parameters. */
function callCards(call, showValues) {
  const inside = new Set(call.steps), cards = [], seen = new Set();
  data.steps.forEach((step, n) => {
    for (const input of step.inputs) {
      const source = input.from?.step;
      if (source === undefined || inside.has(source) === inside.has(n)) continue;
      const output = data.steps[source].outputs[input.from.output];
      const leaves = inside.has(source), key = `${source}.${input.from.output}`;
      const array = showValues ? output.value : leaves ? output.grad : input.grad;
      if (array === null || seen.has(key)) continue;
      seen.add(key);
      const title = leaves ? (showValues ? "output" : "arrives") : `${showValues ? "input" : "goes back to"} ${data.steps[source].name}`;
      cards[leaves ? "unshift" : "push"](arrayCard(array, title, output.shape));
    }
  });
  const leaves = new Set(call.steps.flatMap((n) => data.steps[n].inputs.map((input) => input.from?.leaf).filter((l) => l !== undefined)));
  for (const leaf of leaves) {
    const { name, shape, value, grad } = data.leaves[leaf];
    const array = showValues ? value : grad;
    if (array !== null) cards.push(arrayCard(array, `${showValues ? "input" : "goes back to"} ${name.split(".").slice(-2).join(".") || "leaf"}`, shape));
  }
  return cards;
}

function codeOf(step) {
  const op = data.ops[step.name], where = data.places[step.where];
  const lines = where.lines.map((line, i) => make("span", where.first + i === where.line ? { class: "here" } : {},
    `${String(where.first + i).padStart(4)}  ${line}\n`));
  return [
    make("h3", {}, `${where.file}:${where.line}`), make("pre", { id: "line" }, ...lines),
    make("h3", {}, `${step.name} in ${op.file}`),
    make("pre", { id: "source" }, ...python(op.forward), "\n\n", ...python(op.backward)),
  ];
}

/** Source with its comments and docstrings set apart. */
function python(source) {
  return source.split(/(#.*$|"""[\s\S]*?""")/m).map((part, i) => i % 2 ? make("span", { class: "comment" }, part) : part);
}
