"""What the tests of layers and optimizers share."""

import compare
import pytest

from tensor.kernels import CHOICES, use_kernels


def pytest_generate_tests(metafunc):
    """A test with `kernels` runs with each set that the device has: on a GPU with those in CUDA C alone."""
    if "kernels" in metafunc.fixturenames:
        metafunc.parametrize("kernels", CHOICES if compare.DEVICE == "cpu" else [None], indirect=True)


@pytest.fixture
def kernels(request):
    """Use these kernels."""
    if request.param == "numba":
        pytest.importorskip("numba")
    use_kernels(request.param)
    yield
    use_kernels(None)
