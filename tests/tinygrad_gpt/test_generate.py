"""Choosing the next token, and that a cache of keys and values changes nothing but the time."""

import math

import numpy as np
import pytest
import torch
import transformers

import tensor
from nn import functional as F
from tinygrad_gpt import GPT, GPTConfig
from tinygrad_gpt.data import get_batch
from tinygrad_gpt.decoding import Decoding, draw, keep_likeliest, penalize_repetition
from tinygrad_gpt.evaluate import batch_loss
from tinygrad_gpt.model import KVCache
from tinygrad_gpt.tokenizer import CharTokenizer

CONFIG = GPTConfig(block_size=48, vocab_size=29, n_layer=3, n_head=4, n_embd=32)


def random_model(dtype, **changes) -> GPT:
    """Far from its initial weights, whose logits are all alike: what it reads decides what it says."""
    tensor.manual_seed(0)
    model = GPT(GPTConfig(**(vars(CONFIG) | changes))).to(dtype=dtype)
    generator = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data.array[...] += 0.3 * generator.standard_normal(parameter.shape)
    return model.eval()


@pytest.fixture(scope="module")
def trained_model(made_text) -> GPT:
    """A model that has learned its text a little: sure of some characters, unsure of others."""
    tokenizer = CharTokenizer.from_text(made_text)
    tokens, generator = tokenizer.encode(made_text), np.random.default_rng(0)
    tensor.manual_seed(0)
    model = GPT(GPTConfig(**(vars(CONFIG) | {"vocab_size": tokenizer.vocab_size})))
    optimizer = model.configure_optimizers(weight_decay=0.1, learning_rate=3e-3, betas=(0.9, 0.99))
    for _ in range(150):
        optimizer.zero_grad()
        batch_loss(model, *get_batch(tokens, 16, 48, generator)).backward()
        optimizer.step()
    return model.eval()


def prompt(rows: int, length: int) -> tensor.Tensor:
    return tensor.from_numpy(np.random.default_rng(2).integers(20, size=(rows, length)))


def both(model: GPT, idx: tensor.Tensor, count: int, **options) -> list[list]:
    """What is generated from one seed, with the cache and without."""
    texts = []
    for use_cache in (True, False):
        tensor.manual_seed(3)
        texts.append(model.generate(idx, count, use_cache=use_cache, **options).tolist())
    return texts


WAYS = {
    "greedy": {"temperature": 0},
    "drawn": {},
    "hot": {"temperature": 3.0},
    "top_k": {"top_k": 5},
    "top_p": {"top_p": 0.8},
    "all at once": {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.3, "stop_tokens": [3]},
    "several samples": {"num_samples": 2},
}


class TestTheCacheChangesNothing:
    @pytest.mark.parametrize("dtype", [tensor.float32, tensor.float64], ids=["float32", "float64"])
    @pytest.mark.parametrize("way", WAYS)
    def test_of_a_random_model(self, way, dtype):
        """Eight texts, up to block_size and as far again beyond it, where the window slides."""
        cached, uncached = both(random_model(dtype), prompt(8, 5), 91, **WAYS[way])
        assert cached == uncached

    @pytest.mark.parametrize("way", WAYS)
    def test_of_a_trained_model(self, way, trained_model):
        cached, uncached = both(trained_model, prompt(24, 2), 70, **WAYS[way])
        assert cached == uncached

    @pytest.mark.parametrize("length", [1, 47, 48, 49, 100])
    def test_whatever_the_prompt_fills(self, length):
        cached, uncached = both(random_model(tensor.float32), prompt(3, length), 5)
        assert cached == uncached

    @pytest.mark.parametrize(
        "changes", [{"n_layer": 0}, {"bias": False}, {"tie_weights": False}, {"n_head": 1}], ids=str
    )
    def test_whatever_the_model(self, changes):
        cached, uncached = both(random_model(tensor.float32, **changes), prompt(3, 5), 60)
        assert cached == uncached

    def test_the_logits_differ_by_rounding_alone(self):
        model, idx = random_model(tensor.float64), prompt(3, 40)
        cache = KVCache(48)
        with tensor.no_grad():
            cached = [model(part, cache=cache)[0].numpy() for part in (idx[:, :30], *idx[:, 30:].split(1, dim=1))]
            for length, logits in zip(range(30, 41), cached, strict=True):
                np.testing.assert_allclose(logits, model(idx[:, :length])[0].numpy(), rtol=1e-12, atol=1e-12)
        assert cache.length == 40

    def test_a_loss_with_a_cache_is_that_of_the_last_token(self):
        model, idx = random_model(tensor.float64), prompt(2, 9)
        cache = KVCache(9)
        with tensor.no_grad():
            model(idx[:, :8], cache=cache)
            _, loss = model(idx[:, 8:], idx[:, :1], cache=cache)
            targets = tensor.cat((tensor.full((2, 8), -1), idx[:, :1]), dim=1)
            assert loss.item() == pytest.approx(model(idx, targets)[1].item(), rel=1e-12)

    def test_it_is_one_token_at_a_time_after_the_prompt(self):
        model, cache = random_model(tensor.float32), KVCache(10)
        with tensor.no_grad():
            model(prompt(1, 4), cache=cache)
            with pytest.raises(ValueError, match="a cache that holds 4 positions takes one more at a time, got 2"):
                model(prompt(1, 2), cache=cache)

    def test_a_gradient_is_not_lost_in_it_unnoticed(self):
        with pytest.raises(
            RuntimeError, match=r"a KVCache keeps no graph to differentiate: use it under tensor.no_grad"
        ):
            random_model(tensor.float32)(prompt(1, 4), cache=KVCache(10))

    def test_a_step_reads_one_position_until_the_window_slides(self, monkeypatch):
        lengths, forward = [], GPT.forward

        def noting(model, idx, **options):
            lengths.append(idx.shape)
            return forward(model, idx, **options)

        monkeypatch.setattr(GPT, "forward", noting)
        random_model(tensor.float32).generate(prompt(1, 5), 46, num_samples=2)
        assert lengths == [(1, 5), *[(2, 1)] * 43, *[(2, 48)] * 2]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_tokens_are_transformers(penalty, tmp_path):
    torch.manual_seed(0)
    settings = {"vocab_size": 300, "n_positions": 96, "n_layer": 3, "n_head": 4, "n_embd": 32}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings, initializer_range=0.2)).eval()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path).to(dtype=tensor.float64).eval()
    idx = prompt(8, 6)
    expected = theirs.double().generate(
        torch.tensor(idx.numpy()),
        max_new_tokens=90,
        do_sample=False,
        repetition_penalty=penalty,
        eos_token_id=None,
        pad_token_id=0,
        attention_mask=torch.ones(8, 6),
    )
    assert ours.generate(idx, 90, temperature=0, repetition_penalty=penalty).tolist() == expected.tolist()


class TestSamples:
    def test_each_goes_its_own_way_from_the_same_prompt(self):
        texts = random_model(tensor.float32).generate(prompt(2, 5), 30, num_samples=3).tolist()
        assert len(texts) == 6 and len({tuple(text) for text in texts}) == 6
        assert [text[:5] for text in texts] == [row for row in prompt(2, 5).tolist() for _ in range(3)]

    def test_a_text_ends_with_its_stop_token(self):
        model, stops = random_model(tensor.float32), [3, 7]
        texts = model.generate(prompt(6, 5), 80, stop_tokens=stops).numpy()[:, 5:]
        ends = [next((i for i, token in enumerate(text) if token in stops), None) for text in texts]
        assert len(set(ends)) > 2, "they should end at different times"
        for text, end in zip(texts, ends, strict=True):
            assert end is None or (text[end:] == text[end]).all()

    def test_when_all_have_ended_no_token_follows(self):
        model = random_model(tensor.float32)
        every = list(range(CONFIG.vocab_size))
        assert model.generate(prompt(3, 5), 80, stop_tokens=every).shape == (3, 6)

    def test_a_stream_is_what_generate_appends(self):
        model = random_model(tensor.float32)
        tensor.manual_seed(1)
        streamed = [step.tolist() for step in model.stream(prompt(2, 5), 20, Decoding(top_k=9))]
        tensor.manual_seed(1)
        assert np.transpose(streamed).tolist() == model.generate(prompt(2, 5), 20, top_k=9)[:, 5:].tolist()

    def test_between_the_tokens_of_a_stream_graphs_are_recorded_as_before(self):
        for _ in random_model(tensor.float32).stream(prompt(1, 5), 2, Decoding()):
            assert tensor.is_grad_enabled()

    @pytest.mark.parametrize("shape, options", [((1, 0), {}), ((1, 3), {"num_samples": 0})])
    def test_nothing_to_continue_is_an_error(self, shape, options):
        with pytest.raises(ValueError, match="there is nothing to continue"):
            random_model(tensor.float32).generate(prompt(*shape), 1, **options)


# ---------------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    "top_k, top_p, kept",
    [
        (None, None, {0, 1, 2, 3}),
        (2, None, {1, 3}),
        (9, None, {0, 1, 2, 3}),
        (None, 0.5, {3}),  # the likeliest alone reaches it
        (None, 0.53, {1, 3}),
        (None, 0.9, {0, 1, 3}),
        (None, 1.0, {0, 1, 2, 3}),
        (3, 0.6, {1, 3}),
        (2, 0.7, {1, 3}),  # of the two, the likeliest has 0.675
        (2, 0.67, {3}),
    ],
)
def test_keep_likeliest(top_k, top_p, kept):
    probabilities = np.array([[0.15, 0.25, 0.08, 0.52]])
    logits = keep_likeliest(tensor.tensor(np.log(probabilities)), top_k, top_p).numpy()
    assert set(np.flatnonzero(np.isfinite(logits[0])).tolist()) == kept


@pytest.mark.parametrize("top_k, top_p, count", [(3, None, 3), (None, 0.45, 5), (6, 0.45, 3)])
def test_of_equal_tokens_only_as_many_as_asked_for_stay(top_k, top_p, count):
    logits = keep_likeliest(tensor.zeros(2, 10), top_k, top_p).numpy()
    assert np.isfinite(logits).sum(axis=1).tolist() == [count, count]


LOGITS = np.random.default_rng(5).standard_normal((4, 200)).astype(np.float32) * 3
CONTEXT = np.random.default_rng(6).integers(200, size=(4, 60))


@pytest.mark.parametrize(
    "ours, theirs",
    [
        *(
            (lambda x, c, p=p: penalize_repetition(x, c, p), transformers.RepetitionPenaltyLogitsProcessor(p))
            for p in (1.2, 2.0, 0.7)
        ),
        *((lambda x, c, k=k: keep_likeliest(x, k, None), transformers.TopKLogitsWarper(k)) for k in (1, 7, 199, 500)),
        *((lambda x, c, p=p: keep_likeliest(x, None, p), transformers.TopPLogitsWarper(p)) for p in (0.1, 0.5, 0.99)),
    ],
    ids=["penalty 1.2", "2.0", "0.7", "top_k 1", "7", "199", "500", "top_p 0.1", "0.5", "0.99"],
)
def test_the_same_as_transformers(ours, theirs):
    expected = theirs(torch.tensor(CONTEXT), torch.tensor(LOGITS)).numpy()
    np.testing.assert_array_equal(ours(tensor.from_numpy(LOGITS), tensor.from_numpy(CONTEXT)).numpy(), expected)


def test_the_whole_choice_is_in_transformers_order():
    """Penalty, temperature, top_k, top_p: what is left to draw from is the same."""
    scores = transformers.RepetitionPenaltyLogitsProcessor(1.5)(torch.tensor(CONTEXT), torch.tensor(LOGITS)) / 0.7
    for warper in (transformers.TopKLogitsWarper(40), transformers.TopPLogitsWarper(0.8)):
        scores = warper(None, scores)
    possible = [set(np.flatnonzero(np.isfinite(row)).tolist()) for row in scores.numpy()]
    decoding = Decoding(temperature=0.7, top_k=40, top_p=0.8, repetition_penalty=1.5)
    tensor.manual_seed(0)
    drawn = [decoding.choose(tensor.from_numpy(LOGITS), tensor.from_numpy(CONTEXT)).tolist() for _ in range(500)]
    assert [set(tokens) for tokens in zip(*drawn, strict=True)] == possible


def test_draw_is_as_often_as_likely():
    """Each count within five standard deviations of its mean."""
    p, count = np.array([0.5, 0.3, 0.15, 0.049, 0.001, 0.0]), 20_000
    tensor.manual_seed(0)
    tokens = draw(tensor.tensor(p, dtype=tensor.float32).expand(count, -1)).numpy()
    deviations = np.abs(np.bincount(tokens, minlength=6) - count * p)
    assert (deviations <= 5 * np.sqrt(count * p * (1 - p))).all()


def test_a_last_bit_of_the_probabilities_hardly_ever_changes_the_draw():
    """The running sum of 50,000 probabilities would cross a random height some two hundred times here."""
    logits = tensor.from_numpy(np.random.default_rng(7).standard_normal((50, 50_000)).astype(np.float32))
    noisy = logits * (1 + 1e-6 * tensor.from_numpy(np.random.default_rng(8).standard_normal((50, 50_000))).float())
    same = total = 0
    for seed in range(4):
        tokens = []
        for x in (logits, noisy):
            tensor.manual_seed(seed)
            tokens.append(draw(F.softmax(x, dim=-1)).numpy())
        same, total = same + int((tokens[0] == tokens[1]).sum()), total + 50
    assert same == total


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ({"temperature": -1.0}, "temperature must be 0 or more, got -1.0"),
        ({"temperature": math.nan}, "temperature must be 0 or more, got nan"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
        ({"top_p": 1.5}, r"top_p must be in \(0, 1\], got 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be above 0, got 0.0"),
    ],
)
def test_settings_that_make_no_sense(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        Decoding(**setting)
