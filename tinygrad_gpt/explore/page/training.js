// How the run has trained: its curves from metrics.jsonl, and the next step's gradients and updates.
"use strict";

const USUAL_RATIO = 1e-3;

function showTraining() {
  const { curves, step, missing } = data.training;
  byId("missing").textContent = missing ? `Gradients and updates cannot be shown: ${missing}` : `Gradients and updates are those of the step at iteration ${step.iter} (loss ${number(step.loss)}), taken in memory.`;
  const line = (key, name, style) => curves[key] ? [{ x: curves[key].map((p) => p[0]), y: curves[key].map((p) => p[1]), name, ...style }] : [];
  const axes = { height: 260, xaxis: { title: { text: "iteration" } }, legend: { orientation: "h", y: 1.12 }, margin: { l: 48, r: 10, t: 20, b: 40 } };
  Plotly.react(byId("loss-curve"), [
    ...line("loss", "batch", { line: { width: 1, color: colour("--faint") } }),
    ...line("train_loss", "training split", { mode: "lines+markers" }),
    ...line("val_loss", "validation split", { mode: "lines+markers" }),
  ], plotLayout(axes), PLOT);
  Plotly.react(byId("lr-curve"), line("lr", "learning rate", {}), plotLayout(axes), PLOT);
  if (!step) return;
  dots("grad-norms", step.parameters, "grad");
  dots("update-ratios", step.parameters.filter((p) => p.ratio !== null), "ratio", USUAL_RATIO);
}

/** One dot a parameter on a logarithmic axis, those of biases hollow, with a line at what is usual. */
function dots(id, parameters, key, usual = null) {
  const isBias = (p) => p.name.endsWith("bias");
  const trace = (shown, symbol) => ({
    mode: "markers", x: shown.map((p) => p[key]), y: shown.map((p) => p.name), marker: { color: colour("--accent"), size: 7, symbol },
    customdata: shown.map((p) => number(p[key])), hovertemplate: "%{y}: <b>%{customdata}</b><extra></extra>",
  });
  Plotly.react(byId(id), [
    trace(parameters.filter((p) => !isBias(p)), "circle"), trace(parameters.filter(isBias), "circle-open"),
  ], plotLayout({
    height: 14 * parameters.length + 30, margin: { l: 10, r: 10, t: 26, b: 4 }, showlegend: false,
    shapes: usual === null ? [] : [{ type: "line", x0: usual, x1: usual, y0: 0, y1: 1, yref: "paper", line: { color: colour("--faint"), dash: "dot", width: 1 } }],
    xaxis: { type: "log", exponentformat: "power", side: "top", dtick: 1 },
    yaxis: { categoryarray: parameters.map((p) => p.name), range: [parameters.length - 0.4, -0.6], dtick: 1, tickfont: { size: 9, family: "monospace" } },
  }), PLOT);
}
