"""TF32 is asked of cuBLAS. What it rounds shows on a real GPU alone."""

import pytest

import tensor
from tinygrad_gpt.cli import run

cupy = pytest.importorskip("cupy")


@pytest.fixture
def compute_type():
    linalg = cupy._core._routines_linalg
    yield lambda: linalg.compute_type_to_str(linalg.get_compute_type("float32"))
    tensor.set_float32_matmul_precision("highest")


def test_tf32_is_an_option(compute_type):
    before = compute_type()
    for precision in ("high", "medium"):
        tensor.set_float32_matmul_precision(precision)
        assert (tensor.get_float32_matmul_precision(), compute_type()) == (precision, "COMPUTE_TYPE_TF32")
        x = tensor.eye(3, device="cuda")
        assert (x @ x).tolist() == x.tolist()
    tensor.set_float32_matmul_precision("highest")
    assert compute_type() == before != "COMPUTE_TYPE_TF32"


def test_a_training_asks_for_it(compute_type, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be, or not to be: " * 20)
    sizes = ("--n_layer=0", "--n_embd=8", "--n_head=1", "--block_size=4", "--batch_size=1", "--max_iters=1")
    for tf32 in (True, False):
        options = ("--device=cuda", f"--tf32={tf32}", "--eval_iters=1", "--sample_tokens=0", "--overwrite=True")
        assert run(["train", f"--input={text}", f"--out_dir={tmp_path / 'run'}", *sizes, *options]) == 0
        assert (compute_type() == "COMPUTE_TYPE_TF32") == tf32


def test_another_name_is_an_error():
    with pytest.raises(ValueError, match="must be 'highest', 'high' or 'medium', got 'low'"):
        tensor.set_float32_matmul_precision("low")
