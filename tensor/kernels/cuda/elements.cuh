// Kernels that work element by element: 16 bytes a thread, so that a warp reads 512 bytes at once.

#include "types.cuh"

const int PACK = 16 / sizeof(scalar);

struct alignas(16) Pack {
    scalar v[PACK];
};

template <typename F, typename... Packs>
__device__ Pack map_pack(F f, long long first, Packs... x) {
    Pack y;
    for (int k = 0; k < PACK; k++) y.v[k] = scalar(f(first + k, accum(x.v[k])...));
    return y;
}

// y[i] = f(i, x[i], …) for every i < n. The arrays begin at multiples of 16 bytes.
template <typename F, typename... Scalars>
__device__ void each_element(long long n, scalar* y, F f, const Scalars*... x) {
    long long first = PACK * (blockIdx.x * (long long)blockDim.x + threadIdx.x);
    if (first + PACK <= n) {
        *(Pack*)(y + first) = map_pack(f, first, *(const Pack*)(x + first)...);
    } else {
        for (long long i = first; i < n; i++) y[i] = scalar(f(i, accum(x[i])...));
    }
}
