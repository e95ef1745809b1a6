"""GPT against an independent PyTorch GPT with the same weights, and what nanoGPT's users expect of it."""

import math

import numpy as np
import pytest
import torch
from compare import wait

import tensor
from tinygrad_gpt import GPT, GPTConfig

SMALL = GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=12, bias=True)


def make_model(config: GPTConfig = SMALL, seed: int = 0) -> GPT:
    tensor.manual_seed(seed)
    return GPT(config)


def random_ids(shape, vocab_size: int = SMALL.vocab_size, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(vocab_size, size=shape)


def torch_forward(weights: dict[str, torch.Tensor], config: GPTConfig, idx, targets):
    """The same GPT in plain PyTorch: its own attention, mask and GELU, no nn.Module."""

    def linear(x, name):
        y = x @ weights[f"{name}.weight"].T
        return y + weights[f"{name}.bias"] if config.bias else y

    def norm(x, name):
        y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, correction=0) + 1e-5)
        y = y * weights[f"{name}.weight"]
        return y + weights[f"{name}.bias"] if config.bias else y

    def gelu(x):
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    T, heads = idx.shape[1], config.n_head
    future = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
    x = weights["transformer.wte.weight"][idx] + weights["transformer.wpe.weight"][:T]
    for layer in range(config.n_layer):
        block = f"transformer.h.{layer}"
        q, k, v = linear(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn").chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (heads, -1)).movedim(-2, 1) for part in (q, k, v))
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(future, -math.inf)
        attended = (torch.softmax(scores, dim=-1) @ v).movedim(1, -2).flatten(-2)
        x = x + linear(attended, f"{block}.attn.c_proj")
        x = x + linear(gelu(linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")), f"{block}.mlp.c_proj")
    head = weights["transformer.wte.weight" if config.tie_weights else "lm_head.weight"]
    logits = norm(x, "transformer.ln_f") @ head.T
    loss = -torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None]).mean()
    return logits, loss


def both_models(config: GPTConfig) -> tuple[GPT, dict[str, torch.Tensor]]:
    """The model in float64 and its weights for PyTorch, moved off zeros and ones: mix-ups show."""
    model = make_model(config).to(dtype=tensor.float64)
    generator = np.random.default_rng(1)
    weights = {}
    for name, parameter in model.named_parameters():
        parameter.data += tensor.tensor(0.2 * generator.standard_normal(parameter.shape))
        weights[name] = torch.tensor(parameter.numpy(force=True).copy(), requires_grad=True)
    return model, weights


CONFIGS = {
    "biases": SMALL,
    "no biases": GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=12, bias=False),
    "one head": GPTConfig(block_size=5, vocab_size=7, n_layer=1, n_head=1, n_embd=6),
    "four heads, three layers": GPTConfig(block_size=16, vocab_size=33, n_layer=3, n_head=4, n_embd=32),
    "a head of its own": GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=12, tie_weights=False),
    "no blocks": GPTConfig(block_size=8, vocab_size=11, n_layer=0, n_head=1, n_embd=12, tie_weights=False),
    "no blocks, tied": GPTConfig(block_size=8, vocab_size=11, n_layer=0, n_head=1, n_embd=12),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("length", [1, 4])
def test_same_logits_loss_and_gradients_as_pytorch(config, length):
    model, weights = both_models(config)
    x, y = random_ids((2, 3, length), config.vocab_size)
    logits, loss = model(tensor.tensor(x), tensor.tensor(y))
    loss.backward()
    their_logits, their_loss = torch_forward(weights, config, torch.tensor(x), torch.tensor(y))
    their_loss.backward()
    np.testing.assert_allclose(logits.numpy(force=True), their_logits.numpy(force=True), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(loss.item(), their_loss.item(), rtol=1e-9)
    for name, parameter in model.named_parameters():
        theirs = weights[name].grad.numpy(force=True)
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(
            parameter.grad.numpy(force=True), theirs, rtol=1e-6, atol=1e-9 * scale + 1e-15, err_msg=name
        )


def test_same_losses_as_pytorch_over_20_adamw_steps():
    config = CONFIGS["biases"]
    model, weights = both_models(config)
    optimizer = model.configure_optimizers(weight_decay=0.1, learning_rate=1e-2, betas=(0.9, 0.95))
    theirs = torch.optim.AdamW(
        [
            {"params": [w for w in weights.values() if w.dim() >= 2], "weight_decay": 0.1},
            {"params": [w for w in weights.values() if w.dim() < 2], "weight_decay": 0.0},
        ],
        lr=1e-2,
        betas=(0.9, 0.95),
    )
    for step in range(20):
        x, y = random_ids((2, 4, config.block_size), config.vocab_size, seed=step)
        _, loss = model(tensor.tensor(x), tensor.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _, their_loss = torch_forward(weights, config, torch.tensor(x), torch.tensor(y))
        theirs.zero_grad()
        their_loss.backward()
        theirs.step()
        np.testing.assert_allclose(loss.item(), their_loss.item(), rtol=1e-6, err_msg=f"step {step}")
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.numpy(force=True), weights[name].numpy(force=True), rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_parameter_names_are_nanogpts():
    block = [
        *("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias"),
        *("attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias"),
        *("mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"),
    ]
    names = [
        *("transformer.wte.weight", "transformer.wpe.weight"),
        *(f"transformer.h.{layer}.{name}" for layer in range(2) for name in block),
        *("transformer.ln_f.weight", "transformer.ln_f.bias"),
    ]
    model = make_model()
    assert [name for name, _ in model.named_parameters()] == names
    assert list(model.state_dict()) == [*names, "lm_head.weight"]
    assert model.lm_head.weight is model.transformer.wte.weight


@pytest.mark.parametrize(
    "config, count",
    [
        (SMALL, 2 * 12 + 2 * (4 * 12 + 12 * (36 + 12 + 48 + 48) + 36 + 12 + 48 + 12) + 11 * 12),
        (GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128, bias=False), 795_904),
        (GPTConfig(block_size=8, vocab_size=11, n_layer=0, n_head=1, n_embd=12, tie_weights=False), 2 * 12 + 11 * 12),
    ],
    ids=["counted by hand", "laptop", "no blocks, a head of its own"],
)
def test_number_of_parameters(config, count):
    model = make_model(config)
    assert model.get_num_params() == count
    embeddings = config.block_size + (0 if config.tie_weights else config.vocab_size)  # a tied wte is the head too
    assert model.get_num_params(non_embedding=False) == count + embeddings * config.n_embd


@pytest.mark.parametrize("tie_weights", [True, False])
def test_initial_weights_are_gpt2s(tie_weights):
    config = GPTConfig(block_size=64, vocab_size=200, n_layer=4, n_head=4, n_embd=128, tie_weights=tie_weights)
    for name, parameter in make_model(config).named_parameters():
        values = parameter.numpy(force=True)
        if parameter.dim() == 1:
            expected = np.ones_like(values) if "ln_" in name and name.endswith("weight") else 0.0
            np.testing.assert_array_equal(values, expected, err_msg=name)
        else:
            std = 0.02 / math.sqrt(2 * config.n_layer) if name.endswith("c_proj.weight") else 0.02
            assert values.std() == pytest.approx(std, rel=0.05), name
            assert abs(values.mean()) < 5 * std / math.sqrt(values.size), name


def test_without_blocks_only_the_last_token_and_its_position_count():
    model = make_model(CONFIGS["no blocks"]).eval()
    x = random_ids((2, 8))
    x[1, -1] = x[0, -1]
    logits, _ = model(tensor.tensor(x))
    np.testing.assert_array_equal(logits.numpy(force=True)[0], logits.numpy(force=True)[1])


def test_the_first_loss_is_that_of_a_uniform_guess():
    x, y = random_ids((2, 4, 8))
    _, loss = make_model()(tensor.tensor(x), tensor.tensor(y))
    assert loss.item() == pytest.approx(math.log(SMALL.vocab_size), rel=0.02)


def test_without_targets_only_the_last_position_is_scored():
    model = make_model().eval()
    x, y = random_ids((2, 3, 8))
    logits, loss = model(tensor.tensor(x))
    every_position, _ = model(tensor.tensor(x), tensor.tensor(y))
    assert loss is None and logits.shape == (3, 1, SMALL.vocab_size)
    np.testing.assert_allclose(logits.numpy(force=True), every_position.numpy(force=True)[:, -1:], rtol=1e-4, atol=1e-6)


def test_targets_of_minus_one_do_not_count():
    model = make_model().eval()
    x, y = random_ids((2, 3, 8))
    y[:, 4:] = -1
    _, loss = model(tensor.tensor(x), tensor.tensor(y))
    _, short = model(tensor.tensor(x[:, :4]), tensor.tensor(y[:, :4]))
    assert loss.item() == pytest.approx(short.item(), rel=1e-5)


def test_a_position_does_not_see_the_ones_after_it():
    model = make_model().eval()
    x, y = random_ids((2, 1, 8))
    changed = x.copy()
    changed[:, 5] = (changed[:, 5] + 1) % SMALL.vocab_size
    before, _ = model(tensor.tensor(x), tensor.tensor(y))
    after, _ = model(tensor.tensor(changed), tensor.tensor(y))
    differs = np.abs(before.numpy(force=True) - after.numpy(force=True)).max(axis=(0, 2)) > 1e-6
    assert differs.tolist() == [False] * 5 + [True] * 3


def test_dropout_acts_in_training_only():
    config = GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=2, n_embd=12, dropout=0.5)
    model = make_model(config)
    x, y = (tensor.tensor(ids) for ids in random_ids((2, 4, 8)))
    losses = [model(x, y)[1].item() for _ in range(2)]
    model.eval()
    calm = [model(x, y)[1].item() for _ in range(2)]
    assert losses[0] != losses[1] and calm[0] == calm[1]


def test_only_matrices_decay():
    model = make_model()
    decayed, free = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {p.dim() for p in decayed["params"]} == {2} and {p.dim() for p in free["params"]} == {1}
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


class TestGenerate:
    def greedy(self, model, x, count=6, **options) -> list:
        return model.generate(tensor.tensor(x), count, **options).tolist()

    @pytest.mark.parametrize("batch, length, count", [(1, 1, 1), (3, 4, 10), (2, 20, 3), (1, 2, 0)])
    def test_appends_to_the_prompt(self, batch, length, count):
        x = random_ids((batch, length))
        y = make_model().eval().generate(tensor.tensor(x), count).numpy(force=True)
        assert y.shape == (batch, length + count)
        np.testing.assert_array_equal(y[:, :length], x)
        assert y.min() >= 0 and y.max() < SMALL.vocab_size

    def test_temperature_zero_takes_the_likeliest_token(self):
        model, x = make_model().eval(), random_ids((2, 3))
        expected = x
        for _ in range(6):
            logits, _ = model(tensor.tensor(expected[:, -SMALL.block_size :]))
            expected = np.concatenate((expected, logits.numpy(force=True)[:, -1].argmax(-1)[:, None]), axis=1)
        assert self.greedy(model, x, temperature=0) == expected.tolist()

    @pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}])
    def test_each_way_to_be_certain_is_greedy(self, options):
        model, x = make_model().eval(), random_ids((2, 3))
        assert self.greedy(model, x, **options) == self.greedy(model, x, temperature=0)

    def test_sees_no_further_back_than_block_size(self):
        model, x = make_model().eval(), random_ids((1, 20))
        long = self.greedy(model, x, temperature=0)[0][20:]
        assert long == self.greedy(model, x[:, -SMALL.block_size :], temperature=0)[0][SMALL.block_size :]

    def test_the_seed_decides(self):
        model, x = make_model().eval(), random_ids((1, 3))
        draws = []
        for seed in (1, 1, 2):
            tensor.manual_seed(seed)
            draws.append(self.greedy(model, x, 20))
        assert draws[0] == draws[1] != draws[2]

    def test_makes_no_graph(self):
        y = make_model().generate(tensor.tensor(random_ids((1, 3))), 1)
        assert not y.requires_grad

    @pytest.mark.parametrize(
        "options, sentence",
        [
            ({"temperature": -1}, "temperature must be 0 or more"),
            ({"top_k": 0}, "top_k must be at least 1"),
            ({"top_p": 0.0}, r"top_p must be in \(0, 1\]"),
            ({"top_p": 1.5}, r"top_p must be in \(0, 1\]"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            make_model().generate(tensor.tensor(random_ids((1, 1))), 1, **options)


def test_crop_block_size_keeps_what_the_model_computes():
    model = make_model().eval()
    x, y = (tensor.tensor(ids) for ids in random_ids((2, 2, 4)))
    before, _ = model(x, y)
    model.crop_block_size(4)
    after, _ = model(x, y)
    np.testing.assert_array_equal(before.numpy(force=True), after.numpy(force=True))
    assert model.config.block_size == 4 and model.transformer.wpe.weight.shape == (4, 12)
    with pytest.raises(ValueError, match="longer than the block_size, 4"):
        model(tensor.tensor(random_ids((1, 5))))
    with pytest.raises(ValueError, match="block_size can be cropped to 1 … 4, got 5"):
        model.crop_block_size(5)


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"n_head": 5}, r"n_embd \(12\) must be a multiple of n_head \(5\)"),
        ({"n_layer": -1}, "n_layer must be at least 0, got -1"),
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_config_errors(changed, sentence):
    values = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 2, "n_embd": 12}
    with pytest.raises(ValueError, match=sentence):
        GPTConfig(**(values | changed))


@pytest.mark.parametrize(
    "ids, sentence",
    [
        (np.zeros((1, 9), np.int64), "a sequence of 9 tokens is longer than the block_size, 8"),
        (np.array([[1, 11]]), "token ids go from 1 to 11, but the model's vocab_size is 11"),
        (np.array([[-1, 2]]), "token ids go from -1 to 2"),
    ],
)
def test_input_errors(ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_model()(tensor.tensor(ids))
        wait()
