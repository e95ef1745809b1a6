// The gradient of an embedding table without atomics, so that it is the same bits each time: the row numbers come
// sorted, and equal ones stand together (see nn/functional/embedding.py).

#include "types.cuh"

// dweight[i] = Σ dy[n] over the n with idx[n] = i. `sorted` is idx in order, and `order` says where each stood.
// The block whose place begins a run of equal numbers adds up that run, a thread a column; dweight (V, C) starts as zeros.
// A number that is no row is passed over: the check of the indices tells of it, but only later (tensor/late_checks.py).
extern "C" __global__ void embedding_backward(
    const scalar* dy, const long long* sorted, const long long* order, scalar* dweight, int N, int C, long long V) {
    int first = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
    long long row = sorted[first];
    if (c >= C || row < 0 || row >= V || (first > 0 && sorted[first - 1] == row)) return;
    accum total = 0;
    for (int n = first; n < N && sorted[n] == row; n++) total += accum(dy[order[n] * C + c]);
    dweight[row * C + c] = scalar(total);
}
