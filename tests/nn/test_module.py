"""Module: what assigning an attribute registers, walking the tree, modes, moving, and state_dict."""

import copy

import numpy as np
import pytest
import torch
from compare import numbers

import nn
import tensor


class Block(nn.Module):
    """A small model with everything: parameters, buffers of both kinds, submodules, a tied weight."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(tensor.ones(3))
        self.fc = nn.Linear(3, 4)
        self.head = nn.Linear(4, 3, bias=False)
        self.tied = nn.Linear(4, 3, bias=False)
        self.tied.weight = self.head.weight
        self.layers = nn.ModuleList([nn.Dropout(0.1), nn.LayerNorm(3)])
        self.register_buffer("mask", tensor.ones(2, 2).tril())
        self.register_buffer("cache", tensor.zeros(1), persistent=False)
        self.register_buffer("nothing", None)
        self.register_parameter("absent", None)

    def forward(self, x):
        return self.head(self.fc(x * self.gain))


NAMES = ["gain", "fc.weight", "fc.bias", "head.weight", "layers.1.weight", "layers.1.bias"]


class TestAttributes:
    def test_parameters_once_and_in_order(self):
        m = Block()
        assert [name for name, _ in m.named_parameters()] == NAMES
        assert len(list(m.parameters())) == len(NAMES)
        assert dict(m.named_parameters(remove_duplicate=False))["tied.weight"] is m.head.weight
        assert [name for name, _ in m.named_parameters(recurse=False)] == ["gain"]
        assert [name for name, _ in m.named_parameters(prefix="p")][:2] == ["p.gain", "p.fc.weight"]

    def test_buffers_and_modules(self):
        m = Block()
        assert [name for name, _ in m.named_buffers()] == ["mask", "cache"]
        names = ["", "fc", "head", "tied", "layers", "layers.0", "layers.1"]
        assert [name for name, _ in m.named_modules()] == names
        assert [name for name, _ in m.named_children()] == ["fc", "head", "tied", "layers"]
        assert m.nothing is None
        assert m.absent is None

    def test_buffer_assigned_stays_a_buffer(self):
        m = Block()
        m.mask = tensor.zeros(5)
        assert m.mask.shape == (5,)
        assert m.state_dict()["mask"].shape == (5,)

    def test_reassigning_changes_the_kind(self):
        m = Block()
        m.note = "plain"
        m.note = nn.Parameter(tensor.ones(1))
        assert "note" in dict(m.named_parameters())
        m.note = nn.ReLU()
        assert "note" not in dict(m.named_parameters())
        assert isinstance(m.note, nn.ReLU)
        m.note = None
        assert m.note is None
        del m.note
        with pytest.raises(AttributeError, match="'Block' object has no attribute 'note'"):
            _ = m.note

    def test_reassigning_keeps_the_place(self):
        m = Block()
        m.gain = nn.Parameter(tensor.zeros(3))
        m.fc = nn.Linear(3, 4)
        assert [name for name, _ in m.named_parameters()] == NAMES

    def test_deleting(self):
        m = Block()
        del m.gain
        del m.fc
        assert next(name for name, _ in m.named_parameters()) == "head.weight"
        with pytest.raises(AttributeError, match="'fc'"):
            del m.fc

    @pytest.mark.parametrize(
        ("action", "error", "text"),
        [
            (lambda m: setattr(m, "gain", tensor.ones(3)), TypeError, r"Block.gain is a parameter.*nn.Parameter"),
            (lambda m: setattr(m, "mask", 3), TypeError, r"Block.mask is a buffer and takes a Tensor or None, got int"),
            (lambda m: setattr(m, "fc", 3), TypeError, r"Block.fc is a submodule"),
            (lambda m: m.register_buffer("fc", tensor.ones(1)), KeyError, "already has an attribute 'fc'"),
            (lambda m: m.register_buffer("forward", tensor.ones(1)), KeyError, "already has an attribute 'forward'"),
            (lambda m: m.register_buffer("a.b", tensor.ones(1)), KeyError, "without dots"),
            (lambda m: m.register_buffer("a", [1]), TypeError, "must be a Tensor or None, got list"),
            (lambda m: m.register_parameter("a", tensor.ones(1)), TypeError, "must be a Parameter or None, got Tensor"),
            (lambda m: m.add_module("a", 3), TypeError, "must be a Module or None, got int"),
            (lambda m: m.missing, AttributeError, "'Block' object has no attribute 'missing'"),
            (lambda m: nn.Module()(1), TypeError, "Module has no forward"),
        ],
    )
    def test_errors(self, action, error, text):
        with pytest.raises(error, match=text):
            action(Block())

    def test_forgotten_super_init(self):
        class Careless(nn.Module):
            def __init__(self):
                self.fc = nn.Linear(1, 1)

        with pytest.raises(AttributeError, match=r"Careless: call super\(\).__init__\(\) before assigning `fc`"):
            Careless()


class TestModes:
    def test_train_and_eval(self):
        m = Block()
        assert m.training
        assert m.eval() is m
        assert not any(module.training for module in m.modules())
        assert all(module.training for module in m.train().modules())

    def test_freeze(self):
        m = Block().requires_grad_(False)
        assert not any(p.requires_grad for p in m.parameters())

    def test_zero_grad(self):
        m = Block()
        m(tensor.ones(2, 3)).sum().backward()
        assert m.gain.grad is not None
        m.zero_grad(set_to_none=False)
        assert m.gain.grad.tolist() == [0, 0, 0]
        m.zero_grad()
        assert m.gain.grad is None

    def test_apply_children_first(self):
        seen = []
        m = Block()
        assert m.apply(lambda module: seen.append(type(module).__name__)) is m
        assert seen == ["Linear", "Linear", "Linear", "Dropout", "LayerNorm", "ModuleList", "Block"]

    def test_to_dtype_keeps_integers_and_ties(self):
        m = Block()
        m.register_buffer("count", tensor.tensor([1, 2]))
        m(tensor.ones(2, 3)).sum().backward()
        assert m.double() is m
        assert {p.dtype for p in m.parameters()} == {tensor.float64}
        assert m.mask.dtype == tensor.float64
        assert m.count.dtype == tensor.int64
        assert m.gain.grad.dtype == tensor.float64
        assert m.tied.weight is m.head.weight
        assert m.gain.requires_grad
        assert m.float().gain.dtype == tensor.float32
        assert m.to(tensor.ones(1, dtype=tensor.float64)).gain.dtype == tensor.float64
        assert m.to("cpu").cpu().to(device="cpu", dtype=tensor.float32).gain.dtype == tensor.float32
        with pytest.raises(TypeError, match="must be a floating-point one, got int64"):
            m.to(tensor.int64)

    def test_deepcopy_is_independent_and_keeps_ties(self):
        m = Block()
        twin = copy.deepcopy(m)
        assert twin.tied.weight is twin.head.weight
        assert twin.head.weight is not m.head.weight
        assert isinstance(twin.gain, nn.Parameter)
        with tensor.no_grad():
            twin.gain += 1
        assert m.gain.tolist() == [1, 1, 1]
        twin(tensor.ones(1, 3)).sum().backward()
        assert m.gain.grad is None


class TestHooks:
    def test_forward_hooks(self):
        m, seen = nn.Linear(2, 2), []
        before = m.register_forward_pre_hook(lambda module, args: (args[0] * 0,))
        after = m.register_forward_hook(lambda module, args, result: seen.append(result))
        y = m(tensor.ones(1, 2))
        assert seen == [y]
        assert y.tolist() == [m.bias.tolist()]
        before.remove()
        after.remove()
        after.remove()
        m(tensor.ones(1, 2))
        assert len(seen) == 1


class TestStateDict:
    def test_names_values_and_memory(self):
        m = Block()
        state = m.state_dict()
        names = [
            "gain",
            "mask",
            "fc.weight",
            "fc.bias",
            "head.weight",
            "tied.weight",
            "layers.1.weight",
            "layers.1.bias",
        ]
        assert list(state) == names
        assert not any(value.requires_grad for value in state.values())
        assert state["gain"].array is m.gain.array
        assert next(iter(m.state_dict(prefix="p."))) == "p.gain"

    def test_round_trip(self):
        a, b = Block(), Block()
        assert b.load_state_dict(a.state_dict()) == ([], [])
        for (_, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
            assert (p.array == q.array).all()
            assert p.array is not q.array
        assert b.tied.weight is b.head.weight

    def test_from_numpy_and_from_torch(self):
        weights = {"weight": numbers(4, 3), "bias": numbers(4)}
        a = nn.Linear(3, 4)
        a.load_state_dict(weights)
        b = nn.Linear(3, 4)
        b.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
        for m in (a, b):
            assert m.weight.dtype == tensor.float32
            np.testing.assert_allclose(m.weight.detach().numpy(), weights["weight"], rtol=1e-7)

    def test_every_problem_in_one_error(self):
        m = Block()
        state = m.state_dict()
        del state["fc.bias"]
        del state["mask"]
        state["surplus"] = tensor.ones(1)
        state["fc.weight"] = tensor.ones(4, 9)
        state["gain"] = tensor.zeros(3)
        with pytest.raises(RuntimeError) as caught:
            m.load_state_dict(state)
        assert str(caught.value) == (
            "load_state_dict: the weights do not fit this Block:\n"
            "  missing: mask, fc.bias\n"
            "  unexpected: surplus\n"
            "  fc.weight has shape (4, 9), the module's has (4, 3)"
        )
        assert m.gain.tolist() == [1, 1, 1]  # nothing was written

    def test_not_strict(self):
        m = nn.Linear(2, 2)
        keys = m.load_state_dict({"weight": np.zeros((2, 2)), "more": np.zeros(1)}, strict=False)
        assert keys.missing_keys == ["bias"]
        assert keys.unexpected_keys == ["more"]
        assert m.weight.tolist() == [[0, 0], [0, 0]]
        with pytest.raises(RuntimeError, match=r"weight has shape \(3,\)"):
            m.load_state_dict({"weight": np.zeros(3)}, strict=False)

    def test_loading_between_forward_and_backward_is_noticed(self):
        m = nn.Linear(2, 2)
        y = m(tensor.ones(1, 2).requires_grad_()).sum()
        m.load_state_dict(m.state_dict())
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


class TestContainers:
    def test_sequential(self):
        m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        x = tensor.ones(4, 2)
        assert (m(x).detach().numpy() == m[2](m[1](m[0](x))).detach().numpy()).all()
        assert len(m[:2]) == 2
        assert list(m[1:].state_dict()) == ["2.weight", "2.bias"]
        named = nn.Sequential({"first": nn.ReLU(), "last": nn.Tanh()})
        assert [name for name, _ in named.named_children()] == ["first", "last"]
        m.append(nn.Tanh())
        assert isinstance(m[-1], nn.Tanh)

    def test_module_list(self):
        m = nn.ModuleList([nn.ReLU() for _ in range(2)])
        m.append(nn.Tanh()).extend([nn.GELU()])
        m.insert(0, nn.Sigmoid())
        assert [type(x).__name__ for x in m] == ["Sigmoid", "ReLU", "ReLU", "Tanh", "GELU"]
        m[1] = nn.SiLU()
        del m[0]
        assert [type(x).__name__ for x in m[:2]] == ["SiLU", "ReLU"]
        assert isinstance(m[:2], nn.ModuleList)
        with pytest.raises(IndexError, match=r"index 9 is out of range for 4 member"):
            m[9]
        with pytest.raises(TypeError, match="must be a Module"):
            m.append(3)

    def test_module_dict(self):
        m = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
        m["c"] = nn.Tanh()
        m.update({"d": nn.GELU()})
        assert list(m) == list(m.keys()) == ["a", "b", "c", "d"]
        assert "c" in m
        assert m.a is m["a"]
        assert isinstance(m.pop("d"), nn.GELU)
        del m["c"]
        assert [name for name, _ in m.items()] == ["a", "b"]
        assert len(list(m.values())) == len(m) == 2
        m.clear()
        assert len(m) == 0

    def test_parameter_containers(self):
        listed = nn.ParameterList([tensor.ones(2), nn.Parameter(tensor.zeros(1))])
        assert [p.shape for p in listed] == [(2,), (1,)]
        assert list(listed.state_dict()) == ["0", "1"]
        assert all(p.requires_grad for p in listed.parameters())
        named = nn.ParameterDict({"w": tensor.ones(2)})
        assert isinstance(named["w"], nn.Parameter)
        assert list(named.state_dict()) == ["w"]

    def test_identity(self):
        x = tensor.ones(1)
        assert nn.Identity(3, unused=True)(x) is x


class TestRepr:
    def test_tree(self):
        def build(nn):
            blocks = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(3)] + [nn.Tanh()])
            return nn.Sequential(nn.Embedding(5, 2), blocks, nn.ModuleDict({"head": nn.Linear(2, 5, bias=False)}))

        assert repr(build(nn)) == repr(build(torch.nn))

    def test_parameter(self):
        assert repr(nn.Parameter(tensor.ones(2))).startswith("Parameter containing:\ntensor([1., 1.]")


class TestParameter:
    def test_shares_memory_and_requires_grad(self):
        data = tensor.zeros(2)
        p = nn.Parameter(data)
        assert p.requires_grad
        assert p.is_leaf
        data += 1
        assert p.tolist() == [1, 1]
        assert not nn.Parameter(tensor.ones(1), requires_grad=False).requires_grad

    def test_of_a_result_is_a_leaf(self):
        w = tensor.ones(2, requires_grad=True)
        assert nn.Parameter(w * 2).is_leaf
