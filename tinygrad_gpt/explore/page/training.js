// How the run has trained: its curves from metrics.jsonl, and the next step's gradients and updates.
"use strict";

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
  bars("grad-norms", step.parameters, "grad");
  bars("update-ratios", step.parameters.filter((p) => p.ratio !== null), "ratio");
}

/** One bar a parameter, on a logarithmic axis. */
function bars(id, parameters, key) {
  Plotly.react(byId(id), [{
    type: "bar", orientation: "h", x: parameters.map((p) => p[key]), y: parameters.map((p) => p.name), marker: { color: colour("--accent") },
    customdata: parameters.map((p) => number(p[key])), hovertemplate: "%{y}: <b>%{customdata}</b><extra></extra>",
  }], plotLayout({
    height: 14 * parameters.length + 50, margin: { l: 10, r: 10, t: 4, b: 30 },
    xaxis: { type: "log", exponentformat: "power" }, yaxis: { autorange: "reversed", dtick: 1, tickfont: { size: 9, family: "monospace" } },
  }), PLOT);
}
