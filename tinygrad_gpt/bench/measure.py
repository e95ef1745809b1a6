"""What each mode of the benchmark does; the result is a dict that goes into JSON as it is."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from tinygrad_gpt.bench.ops import OPS
from tinygrad_gpt.bench.ranks import ranks
from tinygrad_gpt.bench.settings import TRAINING, BenchConfig, Work, read_work
from tinygrad_gpt.bench.sides import Side, Sides, Spread, ratios, run_in_turn
from tinygrad_gpt.device import check_device
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.options import require

SAMPLED_TOKENS = 64  # in a round, unless --iters says otherwise
PROMPT_TOKENS = 16
FACTORS = (0.25, 0.5, 1.0, 2.0)  # of the preset's size, in mode scaling


def measure(preset: str, config: BenchConfig) -> dict:
    """Run the benchmark. Raises `InputError` for settings that cannot work, `RunError` where a side fails."""
    with tempfile.TemporaryDirectory(prefix="tinygrad-gpt-bench-") as weights:
        work = read_work(preset, config, weights)
        check_device(work.device)
        if work.device == "cuda" and config.opponent:
            _check_opponent_on_gpu()
        result = {"step": step, "sample": sample, "scaling": scaling, "ops": ops, "ranks": ranks}[config.mode](
            config, work
        )
    described = work.to_dict()
    del described["weights"]
    what = {"preset": preset, "mode": config.mode, "against": config.opponent, "tuned_opponent": config.tuned_opponent}
    return what | {"work": described} | result


def _check_opponent_on_gpu() -> None:
    """Raise `InputError` where PyTorch, on which every opponent runs, cannot use the GPU that ours can."""
    import torch  # here alone: the measuring is done in other processes

    if not torch.cuda.is_available():
        raise InputError(
            f"PyTorch {torch.__version__} finds no GPU: install one for CUDA (pytorch.org), or pass --against=nothing."
        )


def step(config: BenchConfig, work: Work) -> dict:
    """A training step, beside the opponent's and beside the matrix products that it cannot do without."""
    with _sides(config, work, "step", "floor") as sides:
        iters, times = run_in_turn(sides, config.rounds, config.iters)
        result = _compared(sides, times, iters)
        result["floor_share"] = asdict(ratios(times[-1], times[0]))  # of our step, the matrix products alone
        for side in sides[:-1]:
            result["sides"][side.engine] |= {"last_loss": side.ask("last_loss")} | side.ask("memory")
        return result | {"shares": sides[0].ask("shares")}


def sample(config: BenchConfig, work: Work) -> dict:
    """A token of a text that is continued with cached keys and values."""
    room = work.model.block_size - 1
    require(room > 0, "--mode=sample needs a block_size of at least 2: a token that is given, and one that follows.")
    prompt = min(PROMPT_TOKENS, room)
    iters = min(config.iters or SAMPLED_TOKENS, max(1, room - prompt))
    with _sides(config, work, "sample") as sides:
        iters, times = run_in_turn(sides, config.rounds, iters, prompt=prompt)
        result = _compared(sides, times, iters) | {"prompt": prompt}
        texts = [side.ask("last_tokens") for side in sides]
        for side in sides:
            result["sides"][side.engine] |= side.ask("memory")
    return result | {"same_tokens": all(text == texts[0] for text in texts)}


def ops(config: BenchConfig, work: Work) -> dict:
    """Single operations on 4x4, forward and backward."""
    found = {}
    with _sides(config, work, "ops") as sides:
        for name in OPS:
            iters, times = run_in_turn(sides, config.rounds, config.iters, op=name)
            found[name] = _compared(sides, times, iters)
    result = {"ops": found}
    if config.opponent:
        result["ratio"] = asdict(Spread.of([one["ratio"]["median"] for one in found.values()]))
    return result


def scaling(config: BenchConfig, work: Work) -> dict:
    """Training steps with one size changed at a time: what a step costs against block size, batch and width."""
    points = []
    with _sides(config, work, "step") as sides:
        for name, value, changed in sizes(work):
            for side in sides:
                side.begin(changed)
            iters, times = run_in_turn(sides, config.rounds, config.iters)
            tokens = changed.batch_size * changed.model.block_size
            points.append({"size": name, "value": value, "tokens": tokens} | _compared(sides, times, iters))
    return {"points": points}


def sizes(work: Work) -> Iterator[tuple[str, int, Work]]:
    """(name of the size, its value, the work with it)."""
    base = {
        "block_size": work.model.block_size,
        "batch_size": work.batch_size,
        "n_embd": work.model.n_embd,
    }
    for name, size in base.items():
        unit = work.model.n_head if name == "n_embd" else 1  # the width stays a multiple of the heads
        values = {max(unit, round(size * factor / unit) * unit) for factor in FACTORS}
        for value in sorted(values):
            yield name, value, work.changed(**{name: value})


def _sides(config: BenchConfig, work: Work, task: str, *more: str) -> Sides:
    """The processes of this engine, of the opponent's, and of `more`. Each runs as in its users' hands: a training step
    of ours with the settings of `train`, all else as it comes, unless the opponent shall have those settings, too.
    """
    engines = ["ours", *([config.opponent] if config.opponent else []), *more]
    tuned = [name for name in engines if config.mode in TRAINING and (name != config.opponent or config.tuned_opponent)]
    return Sides(engines, task, work, tuned)


def _compared(sides: Sequence[Side], times: Sequence[Sequence[float]], iters: int) -> dict:
    """The milliseconds of each side, and the ratio of the first to the second where there is an opponent."""
    result: dict = {
        "rounds": len(times[0]),
        "iters": iters,
        "sides": {s.engine: {"ms": asdict(Spread.of(t)), "facts": s.facts} for s, t in zip(sides, times, strict=True)},
    }
    if len(sides) > 1 and sides[1].engine != "floor":
        result["ratio"] = asdict(ratios(times[0], times[1]))
    return result
