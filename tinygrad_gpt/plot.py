"""The loss curve of a run as a picture, and the accuracy of one that has right answers."""

from pathlib import Path

from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.paths import writing

FILE_NAME = "loss.png"


def plot_loss(folder: Path) -> Path | None:
    """Draw metrics.jsonl of the run in `folder` as loss.png; None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # the optional extra `plot`
    except ImportError:
        return None
    records = read_metrics(folder)
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="iteration", ylabel="loss (nats per token)", title=folder.name)
    for key, label, color, marker in (
        ("loss", "batch", "0.75", None),
        ("train_loss", "training split", "tab:blue", "o"),
        ("val_loss", "validation split", "tab:orange", "o"),
    ):
        points = [(record["iter"], record[key]) for record in records if key in record]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=color, marker=marker, markersize=3)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    if accuracy := [(record["iter"], record["val_accuracy"]) for record in records if "val_accuracy" in record]:
        right = axes.twinx()
        right.set(ylabel="share of right answers", ylim=(0, 1.02))
        right.plot(*zip(*accuracy, strict=True), color="tab:green", marker="o", markersize=3)
        right.yaxis.label.set_color("tab:green")
    path = folder / FILE_NAME
    with writing(path):
        figure.savefig(path)
    return path
