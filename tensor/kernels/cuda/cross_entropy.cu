// Cross-entropy of rows of V logits, a block a row (see nn/functional/cross_entropy.py).

#include "rows.cuh"

// loss_n = w_n (ln Σ_v exp(x_nv) − x_n,target), and log_sum_n = ln Σ_v exp(x_nv) for backward. A row with weight 0
// counts 0, whatever its target. A target that is no class makes its loss NaN: it is not read.
extern "C" __global__ void cross_entropy(
    const scalar* logits, const long long* targets, const scalar* row_weight, scalar* losses, accum* log_sum, int V) {
    int n = blockIdx.x;
    const scalar* x = logits + n * (long long)V;
    accum top = -infinity(), total = 0;
    for (int v = threadIdx.x; v < V; v += blockDim.x) top = Larger()(top, accum(x[v]));
    top = block_max(top);
    for (int v = threadIdx.x; v < V; v += blockDim.x) total += exp(accum(x[v]) - top);
    total = block_sum(total);
    if (threadIdx.x > 0) return;
    accum weight = accum(row_weight[n]), log_of_all = log(total) + top;
    long long target = targets[n];
    bool is_class = 0 <= target && target < V;
    log_sum[n] = log_of_all;
    losses[n] = scalar(weight == 0 ? 0 : is_class ? weight * (log_of_all - accum(x[target])) : infinity() - infinity());
}

// dx_nv = dloss_n w_n (exp(x_nv − log_sum_n) − [v = target_n])
extern "C" __global__ void cross_entropy_backward(
    const scalar* dlosses, const scalar* logits, const long long* targets, const scalar* row_weight,
    const accum* log_sum, scalar* dlogits, int V) {
    int n = blockIdx.x;
    const scalar* x = logits + n * (long long)V;
    scalar* dx = dlogits + n * (long long)V;
    accum weight = accum(row_weight[n]), scale = accum(dlosses[n]) * weight, log_of_all = log_sum[n];
    for (int v = threadIdx.x; v < V; v += blockDim.x) {
        accum p = exp(accum(x[v]) - log_of_all);
        dx[v] = scalar(weight == 0 ? 0 : scale * (p - (v == targets[n] ? 1 : 0)));
    }
}
