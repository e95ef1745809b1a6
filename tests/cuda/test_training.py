"""The real trainer on the GPU: the losses of the CPU, checkpoints that move, samples, no leak, nothing over the bus."""

import gc
import math

import cudasim
import numpy as np
import pytest
from safetensors.numpy import load_file
from same_run import assert_skips_its_first_step

import nn
import tensor
from tinygrad_gpt.cli import run
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.model import GPT, GPTConfig

MODEL = ("--n_layer=2", "--n_head=2", "--n_embd=16", "--block_size=16", "--batch_size=4", "--dropout=0.1")
SCHEDULE = ("--eval_interval=25", "--eval_iters=2", "--log_interval=1", "--warmup_iters=5", "--sample_tokens=20")
STEPS, MOVED = 50, 12  # those of a whole run, and those of a run that moves to the other device


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def text(folder):
    path = folder / "text.txt"
    words = ["love", "is", "the", "fever", "of", "a", "summer", "night", "and", "thou", "art", "my", "world"]
    path.write_text("\n".join(" ".join(words[(i * k) % 13] for k in range(1, 8)) for i in range(200)))
    return path


def train(folder, text, device, *options):
    """`tinygrad-gpt train` in this process; returns the losses of its steps."""
    arguments = ["train", f"--input={text}", f"--out_dir={folder}", f"--device={device}", "--seed=1", *options]
    assert run([*arguments, *MODEL, *SCHEDULE]) == 0
    return logged(folder, "loss")


def logged(folder, name) -> np.ndarray:
    """All values of this name in the run's metrics, in order."""
    return np.array([line[name] for line in read_metrics(folder) if name in line])


@pytest.fixture(scope="module")
def runs(folder, text):
    """The same run on both devices; and the beginning of it on one device, stopped half way, then on the other."""
    results = {device: train(folder / device, text, device, f"--max_iters={STEPS}") for device in ("cpu", "cuda")}
    for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
        name = f"{first} to {second}"
        train(folder / name, text, first, f"--max_iters={MOVED // 2}", f"--lr_decay_iters={STEPS}")
        results[name] = train(folder / name, text, second, "--init_from=resume", f"--max_iters={MOVED}")
    return results


def test_fifty_steps_have_the_losses_of_the_cpu(runs, folder):
    assert len(runs["cpu"]) == STEPS
    assert runs["cpu"][-1] < runs["cpu"][0] - 0.1  # it learns
    difference = np.abs(runs["cuda"] - runs["cpu"]).max()
    print(f"largest difference of a loss: {difference:.1e}")
    assert difference < 1e-4
    for name in ("train_loss", "val_loss"):
        here, there = (logged(folder / device, name) for device in ("cpu", "cuda"))
        assert len(here) == 3
        np.testing.assert_allclose(there, here, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["cpu to cuda", "cuda to cpu"])
def test_a_checkpoint_moves_between_devices(runs, name):
    np.testing.assert_allclose(runs[name], runs["cpu"][:MOVED], rtol=0, atol=1e-4)


def test_the_weights_at_the_end_are_those_of_the_cpu(runs, folder):
    here, there = (load_file(folder / device / "last" / "model.safetensors") for device in ("cpu", "cuda"))
    assert here.keys() == there.keys()
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=0, atol=1e-4, err_msg=name)


def test_the_same_text_is_sampled(runs, folder, capsys):
    texts = []
    for device in ("cpu", "cuda"):
        options = (f"--out_dir={folder / 'cuda'}", f"--device={device}", "--seed=3", "--max_new_tokens=30")
        assert run(["sample", *options, "--num_samples=1", "--start=love"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert len(texts[0]) > 30


def test_float16_has_nearly_the_losses_of_float32(runs, folder, text):
    exact = runs["cuda"][:10]
    half = train(folder / "half", text, "cuda", "--max_iters=10", f"--lr_decay_iters={STEPS}", "--dtype=float16")
    difference = np.abs(half - exact).max()
    print(f"largest difference of a loss: {difference:.1e}")
    assert 0 < difference < 1e-3


def test_a_step_whose_gradient_overflows_float16_is_skipped_and_said(folder, text, capsys):
    def run_it(*options):
        small = ("--n_layer=1", "--n_head=1", "--n_embd=16", "--eval_iters=1", "--warmup_iters=0", "--sample_tokens=0")
        assert run(["train", f"--input={text}", "--device=cuda", *small, *options]) == 0
        return capsys.readouterr().out

    assert_skips_its_first_step(run_it, folder / "overflow")


@pytest.fixture
def step():
    """A training step of a small GPT on a batch that lies on the host."""
    tensor.manual_seed(0)
    model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=1, n_head=2, n_embd=8, dropout=0.1)).cuda()
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95))
    ids = np.arange(2 * 9).reshape(2, 9) % 11

    def run():
        x, y = (tensor.from_numpy(part.copy()).cuda() for part in (ids[:, :-1], ids[:, 1:]))
        _, loss = model(x, y)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.get_total_norm(p.grad for p in model.parameters())
        optimizer.step(grad_factor=nn.utils.clip_factor(norm, 1.0))
        return loss.detach()

    run()  # makes what stays: gradients, moments
    return run


@pytest.mark.skipif(not cudasim.started(), reason="a real GPU does not count copies")
def test_a_step_copies_its_batch_in_and_nothing_out(step):
    before = cudasim.copies()
    for _ in range(3):
        step()
    after = cudasim.copies()
    assert after["host to device"] - before["host to device"] == 3 * 2  # x and y
    assert after["device to host"] == before["device to host"]


def test_steps_leave_no_memory_behind(step):
    step().item()
    gc.collect()
    start = tensor.cuda.memory_allocated()
    losses = [step().item() for _ in range(3)]
    gc.collect()
    assert tensor.cuda.memory_allocated() == start
    assert all(map(math.isfinite, losses))
