// Which modules are folded, and what is to be seen then: nodes, edges, and the stops of a walk through backward.
"use strict";

const OPEN_AT_FIRST = 40; // a graph of up to so many ops starts unfolded

const folded = new Set(); // numbers of folded calls

/** The calls around call `c`, outermost first, and itself; those with a single op are no group and left out. */
function path(c) {
  const calls = [];
  for (; c !== null; c = data.calls[c].outer) if (data.calls[c].steps.length > 1) calls.unshift(c);
  return calls;
}

/** Note in each call which steps ran in it. Called when new data has come. */
function index() {
  for (const call of data.calls) call.steps = [];
  data.steps.forEach((step, n) => {
    for (let c = step.call; c !== null; c = data.calls[c].outer) data.calls[c].steps.push(n);
  });
}

function foldAtFirst() {
  folded.clear();
  if (data.steps.length > OPEN_AT_FIRST) foldAll();
}

/** Fold all calls but the outermost. */
function foldAll() {
  data.calls.forEach((call, c) => { if (path(c).length > 1) folded.add(c); });
}

/** What stands for step `n`: "step 3", or "call 1" where it is folded away. */
function shownAs(n) {
  const hidden = path(data.steps[n].call).find((c) => folded.has(c));
  return hidden === undefined ? `step ${n}` : `call ${hidden}`;
}

const isCall = (id) => id.startsWith("call");
const idNumber = (id) => Number(id.split(" ")[1]);

/** The steps that node `id` stands for. */
const stepsOf = (id) => isCall(id) ? data.calls[idNumber(id)].steps : [idNumber(id)];

/** {nodes, edges, stops} to be seen; an edge joins the gradients that flow back along it. */
function visible() {
  const nodes = new Map(), edges = new Map();
  const group = (c) => path(c).filter((outer) => !folded.has(outer)).at(-1) ?? null;
  data.steps.forEach((step, n) => {
    const id = shownAs(n);
    if (nodes.has(id)) return;
    const call = isCall(id) ? data.calls[idNumber(id)].outer : step.call;
    nodes.set(id, { id, group: call === null ? null : group(call) });
  });
  const users = data.leaves.map(() => []);
  data.steps.forEach((step, n) => {
    for (const input of step.inputs) if (input.from?.leaf !== undefined) users[input.from.leaf].push(n);
  });
  users.forEach((steps, leaf) => {
    const ids = new Set(steps.map(shownAs));
    const isInput = data.whatif?.names.includes(data.leaves[leaf].name);
    if (ids.size === 1 && isCall([...ids][0]) && !isInput) return; // a parameter of a folded module
    const paths = steps.map((n) => path(data.steps[n].call));
    const common = paths[0]?.filter((c) => paths.every((p) => p.includes(c))) ?? [];
    nodes.set(`leaf ${leaf}`, { id: `leaf ${leaf}`, group: common.filter((c) => !folded.has(c)).at(-1) ?? null });
  });
  data.steps.forEach((step, n) => {
    for (const input of step.inputs) {
      if (!input.from) continue;
      const from = input.from.leaf !== undefined ? `leaf ${input.from.leaf}` : shownAs(input.from.step);
      const to = shownAs(n), key = `${from}>${to}`;
      if (from === to || !nodes.has(from)) continue;
      if (!edges.has(key)) edges.set(key, { from, to, grads: [] });
      if (input.grad !== null) edges.get(key).grads.push(input.grad);
    }
  });
  const last = (id) => Math.max(...stepsOf(id));
  const stops = [...nodes.keys()].filter((id) => !id.startsWith("leaf")).sort((a, b) => last(b) - last(a));
  return { nodes: [...nodes.values()], edges: [...edges.values()], stops };
}
