// Softmax and its logarithm along rows of C elements, a block a row (see nn/functional/softmax.py).

#include "rows.cuh"

// ln Σ exp(x) is top + ln Σ exp(x − top) with the row's largest element as top: nothing overflows.
__device__ accum row_max(const scalar* x, int C) {
    accum top = -infinity();
    for (int c = threadIdx.x; c < C; c += blockDim.x) top = Larger()(top, accum(x[c]));
    return block_max(top);
}

__device__ accum row_sum_exp(const scalar* x, accum top, int C) {
    accum total = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) total += exp(accum(x[c]) - top);
    return block_sum(total);
}

// y = exp(x − max x) / Σ exp(x − max x)
extern "C" __global__ void softmax(const scalar* x, scalar* y, int C) {
    x += blockIdx.x * (long long)C;
    y += blockIdx.x * (long long)C;
    accum top = row_max(x, C), share = 1 / row_sum_exp(x, top, C);
    for (int c = threadIdx.x; c < C; c += blockDim.x) y[c] = scalar(exp(accum(x[c]) - top) * share);
}

// dx = y ⊙ (dy − Σ dy ⊙ y)
extern "C" __global__ void softmax_backward(const scalar* dy, const scalar* y, scalar* dx, int C) {
    long long row = blockIdx.x * (long long)C;
    dy += row, y += row, dx += row;
    accum along = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) along += accum(dy[c]) * accum(y[c]);
    along = block_sum(along);
    for (int c = threadIdx.x; c < C; c += blockDim.x) dx[c] = scalar(accum(y[c]) * (accum(dy[c]) - along));
}

// y = x − max x − ln Σ exp(x − max x)
extern "C" __global__ void log_softmax(const scalar* x, scalar* y, int C) {
    x += blockIdx.x * (long long)C;
    y += blockIdx.x * (long long)C;
    accum top = row_max(x, C), log_sum = log(row_sum_exp(x, top, C));
    for (int c = threadIdx.x; c < C; c += blockDim.x) y[c] = scalar(accum(x[c]) - top - log_sum);
}

// dx = dy − exp(y) Σ dy
extern "C" __global__ void log_softmax_backward(const scalar* dy, const scalar* y, scalar* dx, int C) {
    long long row = blockIdx.x * (long long)C;
    dy += row, y += row, dx += row;
    accum total = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) total += accum(dy[c]);
    total = block_sum(total);
    for (int c = threadIdx.x; c < C; c += blockDim.x) dx[c] = scalar(accum(dy[c]) - exp(accum(y[c])) * total);
}
