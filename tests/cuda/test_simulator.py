"""The simulated CUDA device itself: what it computes, and the faults of kernels that it finds (tests/cudasim)."""

import cudasim
import numpy as np
import pytest

cupy = pytest.importorskip("cupy")

pytestmark = pytest.mark.skipif(not cudasim.started(), reason="this is a real GPU: run with --simulate-cuda")

ROW_SUMS = r"""
extern "C" __global__ void row_sums(const float* x, float* y, int m) {
    extern __shared__ float partial[];
    int t = threadIdx.x;
    float sum = 0;
    for (int j = t; j < m; j += blockDim.x) sum += x[blockIdx.x * m + j];
    partial[t] = sum;
    BARRIER
    if (t == 0) {
        for (int i = 1; i < blockDim.x; i++) sum += partial[i];
        y[blockIdx.x] = sum;
    }
}
"""


def row_sums(x, barrier: str = "__syncthreads();", threads: int = 96):
    y = cupy.empty(len(x), "float32")
    kernel = cupy.RawModule(code=ROW_SUMS.replace("BARRIER", barrier)).get_function("row_sums")
    kernel((len(x),), (threads,), (x, y, x.shape[1]), shared_mem=4 * threads)
    return y.get()


@pytest.fixture
def rows():
    return cupy.asarray(np.random.default_rng(0).standard_normal((5, 1000)).astype("float32"))


@pytest.mark.parametrize("threads", [1, 33, 96, 1024])
def test_a_kernel_with_shared_memory_and_a_barrier(rows, threads):
    np.testing.assert_allclose(row_sums(rows, threads=threads), rows.get().sum(1), rtol=1e-4, atol=1e-4)


def test_a_missing_barrier_shows_when_warps_run_in_another_order(rows):
    expected = rows.get().sum(1)
    for seed in range(1, 6):
        with cudasim.shuffled(seed):
            np.testing.assert_allclose(row_sums(rows), expected, rtol=1e-4, atol=1e-4)
            assert not np.allclose(row_sums(rows, "__syncwarp();"), expected, rtol=1e-4, atol=1e-4)


def test_a_barrier_that_some_threads_never_reach_is_an_error(rows):
    with pytest.raises(cupy.cuda.driver.CUDADriverError):
        row_sums(rows, "if (t < 7) __syncthreads(); else __syncwarp(0xFFFFFFFF);")
    np.testing.assert_allclose(row_sums(rows), rows.get().sum(1), rtol=1e-4, atol=1e-4)  # and the next kernel runs


def test_what_was_never_written_is_nan():
    assert np.isnan(cupy.empty(1 << 21, "float64").get()).all()  # larger than anything that was freed


def test_a_kernel_that_nvrtc_refuses_is_an_error():
    with pytest.raises(cupy.cuda.compiler.CompileException, match="undefined_function"):
        cupy.RawModule(code='extern "C" __global__ void f() { undefined_function(); }').get_function("f")


@pytest.mark.parametrize(("grid", "block", "shared"), [(1, 1025, 0), (1, 32, 49153)])
def test_launches_beyond_the_limits_are_errors(grid, block, shared):
    kernel = cupy.RawKernel('extern "C" __global__ void g() { }', "g")
    with pytest.raises(cupy.cuda.driver.CUDADriverError):
        kernel((grid,), (block,), (), shared_mem=shared)


WARP = r"""
extern "C" __global__ void warp_functions(const float* x, float* y) {
    int t = threadIdx.x;
    float v = x[t];
    y[t] = __shfl_xor_sync(0xFFFFFFFF, v, 5);
    y[t + 32] = __shfl_down_sync(0xFFFFFFFF, v, 3);
    y[t + 64] = __shfl_up_sync(0xFFFFFFFF, v, 3, 8);
    y[t + 96] = __shfl_sync(0xFFFFFFFF, v, 2, 16);
    y[t + 128] = __ballot_sync(0xFFFFFFFF, v > 0) & 0xFFFF;
    y[t + 160] = __any_sync(0xFFFFFFFF, t == 31) + 2 * __all_sync(0xFFFFFFFF, t < 31);
}
"""


def test_functions_of_a_warp():
    x = np.random.default_rng(1).standard_normal(32).astype("float32")
    y = cupy.empty(192, "float32")
    cupy.RawKernel(WARP, "warp_functions")((1,), (32,), (cupy.asarray(x), y))
    t = np.arange(32)
    xor, down, up, one, ballot, votes = y.get().reshape(6, 32)
    np.testing.assert_array_equal(xor, x[t ^ 5])
    np.testing.assert_array_equal(down, x[np.where(t + 3 < 32, t + 3, t)])
    np.testing.assert_array_equal(up, x[np.where(t % 8 >= 3, t - 3, t)])
    np.testing.assert_array_equal(one, x[t // 16 * 16 + 2])
    assert set(ballot) == {float(sum(1 << i for i in range(16) if x[i] > 0))}
    assert set(votes) == {1.0}


def test_templates_are_compiled_by_their_expressions():
    code = "template <class T> __global__ void twice(T* x) { x[threadIdx.x] *= 2; }"
    module = cupy.RawModule(code=code, name_expressions=["twice<float>", "twice<int>"])
    for dtype, name in (("float32", "twice<float>"), ("int32", "twice<int>")):
        x = cupy.arange(7, dtype=dtype)
        module.get_function(name)((1,), (7,), (x,))
        np.testing.assert_array_equal(x.get(), 2 * np.arange(7))


def test_memory_lies_on_two_devices():
    assert cupy.cuda.runtime.getDeviceCount() == 2
    with cupy.cuda.Device(1):
        x = cupy.arange(3)
    assert x.device.id == 1
    assert (cupy.asarray([1]).device.id, x.get().tolist()) == (0, [0, 1, 2])


def test_copies_are_counted():
    before = cudasim.copies()
    x = cupy.asarray(np.ones(3))
    x.get()
    float(x[0])
    after = cudasim.copies()
    assert after["host to device"] - before["host to device"] == 1
    assert after["device to host"] - before["device to host"] == 2
