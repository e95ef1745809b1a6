"""The loss curve of a run as a picture."""

from pathlib import Path

from tinygrad_gpt.metrics import read_metrics

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
    for key, label, style in (
        ("loss", "batch", {"color": "0.75", "linewidth": 1}),
        ("train_loss", "training split", {"color": "tab:blue", "marker": "o", "markersize": 3}),
        ("val_loss", "validation split", {"color": "tab:orange", "marker": "o", "markersize": 3}),
    ):
        points = [(record["iter"], record[key]) for record in records if key in record]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / FILE_NAME
    figure.savefig(path)
    return path
