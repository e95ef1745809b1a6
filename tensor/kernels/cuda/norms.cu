// Layer norm and RMS norm of rows of C elements, a block a row (see nn/functional/layer_norm.py for the derivations).
// weight and bias may be null. What backward needs of each row, its mean and the reciprocal of its deviation, is ACCUM.

#include "rows.cuh"

// y = (x − mean) rstd ⊙ weight + bias, rstd = 1 / √(variance + eps), of the x that is given or of x + branch, which is
// written into total then. Each thread reads there what it wrote itself.
extern "C" __global__ void add_layer_norm(
    const scalar* x, const scalar* branch, scalar* total, const scalar* weight, const scalar* bias, accum eps,
    scalar* y, accum* mean, accum* rstd, int C) {
    long long row = blockIdx.x * (long long)C;
    x += row, y += row;
    if (branch) {
        branch += row, total += row;
        for (int c = threadIdx.x; c < C; c += blockDim.x) total[c] = scalar(accum(x[c]) + accum(branch[c]));
        x = total;
    }
    accum sum = 0, squares = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) sum += accum(x[c]);
    accum m = block_sum(sum) / C;
    for (int c = threadIdx.x; c < C; c += blockDim.x) squares += (accum(x[c]) - m) * (accum(x[c]) - m);
    accum r = 1 / sqrt(block_sum(squares) / C + eps);
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        accum normal = (accum(x[c]) - m) * r;
        y[c] = scalar(normal * (weight ? accum(weight[c]) : 1) + (bias ? accum(bias[c]) : 0));
    }
    if (threadIdx.x == 0) mean[blockIdx.x] = m, rstd[blockIdx.x] = r;
}

// y = x rrms ⊙ weight, rrms = 1 / √(mean(x²) + eps)
extern "C" __global__ void rms_norm(
    const scalar* x, const scalar* weight, accum eps, scalar* y, accum* rrms, int C) {
    x += blockIdx.x * (long long)C;
    y += blockIdx.x * (long long)C;
    accum squares = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) squares += accum(x[c]) * accum(x[c]);
    accum r = 1 / sqrt(block_sum(squares) / C + eps);
    for (int c = threadIdx.x; c < C; c += blockDim.x) y[c] = scalar(accum(x[c]) * r * (weight ? accum(weight[c]) : 1));
    if (threadIdx.x == 0) rrms[blockIdx.x] = r;
}

// dx = r (g − mean(g) − x̂ mean(g ⊙ x̂)) with g = dy ⊙ weight and x̂ = (x − m) r; RMS norm has neither m nor mean(g).
// What arrives at x on another way, if `others` is not null, is added.
__device__ void norm_backward(
    const scalar* others, const scalar* dy, const scalar* x, const scalar* weight, bool centred, accum m, accum r,
    scalar* dx, int C) {
    accum along_one = 0, along_normal = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        accum g = accum(dy[c]) * (weight ? accum(weight[c]) : 1);
        along_one += g;
        along_normal += g * (accum(x[c]) - m) * r;
    }
    along_one = centred ? block_sum(along_one) / C : 0;
    along_normal = block_sum(along_normal) / C;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        accum g = accum(dy[c]) * (weight ? accum(weight[c]) : 1);
        accum through = r * (g - along_one - (accum(x[c]) - m) * r * along_normal);
        dx[c] = scalar(through + (others ? accum(others[c]) : 0));
    }
}

extern "C" __global__ void add_layer_norm_backward(
    const scalar* dtotal, const scalar* dy, const scalar* total, const scalar* weight, const accum* mean,
    const accum* rstd, scalar* dx, int C) {
    long long row = blockIdx.x * (long long)C;
    norm_backward(
        dtotal ? dtotal + row : nullptr, dy + row, total + row, weight, true, mean[blockIdx.x], rstd[blockIdx.x],
        dx + row, C);
}

extern "C" __global__ void rms_norm_backward(
    const scalar* dy, const scalar* x, const scalar* weight, const accum* rrms, scalar* dx, int C) {
    long long row = blockIdx.x * (long long)C;
    norm_backward(nullptr, dy + row, x + row, weight, false, 0, rrms[blockIdx.x], dx + row, C);
}

// dweight_c = Σ_n dy_nc x̂_nc and dbias_c = Σ_n dy_nc, in two steps, each in a fixed order. First every block adds up
// its rows of 32 columns, of which a warp reads one row at a time, into sums[part][0 and 1][c] …
extern "C" __global__ void norm_backward_sums(
    const scalar* dy, const scalar* x, const accum* mean, const accum* rstd, accum* sums, int N, int C) {
    __shared__ accum weights[8][32], biases[8][32];  // a block is 32 × 8 threads
    int c = blockIdx.x * 32 + threadIdx.x, part = blockIdx.y;
    accum dweight = 0, dbias = 0;
    for (int n = part * 8 + threadIdx.y; n < N && c < C; n += gridDim.y * 8) {
        accum d = accum(dy[n * (long long)C + c]);
        dweight += d * (accum(x[n * (long long)C + c]) - (mean ? mean[n] : 0)) * rstd[n];
        dbias += d;
    }
    weights[threadIdx.y][threadIdx.x] = dweight;
    biases[threadIdx.y][threadIdx.x] = dbias;
    __syncthreads();
    if (threadIdx.y > 0 || c >= C) return;
    for (int y = 1; y < 8; y++) dweight += weights[y][threadIdx.x], dbias += biases[y][threadIdx.x];
    sums[(2 * part) * (long long)C + c] = dweight;
    sums[(2 * part + 1) * (long long)C + c] = dbias;
}

// … then a thread a column adds up the parts.
extern "C" __global__ void norm_backward_total(const accum* sums, scalar* dweight, scalar* dbias, int parts, int C) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    accum weight = 0, bias = 0;
    for (int part = 0; part < parts; part++) {
        weight += sums[(2 * part) * (long long)C + c];
        bias += sums[(2 * part + 1) * (long long)C + c];
    }
    dweight[c] = scalar(weight);
    dbias[c] = scalar(bias);
}
