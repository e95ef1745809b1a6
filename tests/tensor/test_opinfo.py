"""PyTorch's own operator samples: same forward, same dtype, same gradients. The table is opinfo_table.py."""

import opinfo
import pytest
from opinfo_table import COVERED, LEFT_OUT
from torch.testing._internal.common_methods_invocations import op_db


@pytest.mark.parametrize("name", opinfo.covered_ops())
def test_samples_agree_with_pytorch(name):
    outcome = opinfo.run(name)
    assert not outcome.failures, f"{len(outcome.failures)} failures:\n" + "\n".join(outcome.failures[:5])
    assert outcome.passed


def test_every_operator_of_pytorch_is_covered_or_left_out_with_a_reason():
    covered = opinfo.names(COVERED)
    unlisted = {op.name for op in op_db if op.name not in covered and not opinfo.left_out_reason(op)}
    assert not unlisted
    assert not covered.keys() & opinfo.names(LEFT_OUT).keys()


@pytest.mark.skipif(opinfo.DEVICE != "cpu", reason="a GPU runs one sample of each operator")
def test_breadth():
    ops = {op.name for op in opinfo.covered_ops().values()}
    outcomes = [opinfo.run(name) for name in opinfo.covered_ops()]
    passed = sum(o.passed for o in outcomes)
    failed = sum(len(o.failures) for o in outcomes)
    assert len(ops) >= 300
    assert passed >= 5000
    assert passed >= 0.99 * (passed + failed)
