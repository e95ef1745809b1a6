// Kernels that give a row to a block: what all of its threads have, added up or compared.

#include "types.cuh"

const unsigned ALL_LANES = 0xffffffffu;

struct Add {
    __device__ accum operator()(accum a, accum b) const { return a + b; }
};

struct Larger {  // NaN, if one of them is
    __device__ accum operator()(accum a, accum b) const { return a > b || a != a ? a : b; }
};

// combine(v of thread 0, combine(v of thread 1, …)), for every thread of a one-dimensional block, in an order that
// depends on the block's size alone: the same bits each time.
template <typename Combine>
__device__ accum over_block(accum v, Combine combine) {
    __shared__ accum of_warp[32];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = (blockDim.x + 31) / 32;
    int lanes = warp < warps - 1 ? 32 : blockDim.x - 32 * warp;  // the last warp may have fewer than 32 threads
    unsigned mask = ALL_LANES >> (32 - lanes);
    for (int distance = 16; distance > 0; distance /= 2) {  // lane 0 gathers the warp, in five steps
        accum other = __shfl_down_sync(mask, v, distance);
        if (lane + distance < lanes) v = combine(v, other);
    }
    if (warps == 1) return __shfl_sync(mask, v, 0);
    __syncthreads();  // of_warp of an earlier call has been read by all
    if (lane == 0) of_warp[warp] = v;
    __syncthreads();
    v = of_warp[0];
    for (int w = 1; w < warps; w++) v = combine(v, of_warp[w]);
    return v;
}

__device__ inline accum block_sum(accum v) { return over_block(v, Add()); }

__device__ inline accum block_max(accum v) { return over_block(v, Larger()); }
