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
    path = folder / FILE_NAME
    figure.savefig(path)
    return path
