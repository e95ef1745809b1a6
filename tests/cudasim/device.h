// The CUDA language as C++17 for the host: what a kernel's source needs so that g++ compiles it.
// Threads, barriers and exchanges inside a warp are threads.c's. Every kernel is included after this file and after the
// headers that CuPy's own kernels use (prelude.h), so that all of it is compiled once.
#pragma once
#include <algorithm>
#include <cassert>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector_types.h>

#define __CUDACC_VER_MAJOR__ 12
#define __CUDA_ARCH__ 800

// ---------------------------------------------------------------------- keywords

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __forceinline__
#undef __launch_bounds__
#undef __noinline__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __shared__ static // of the one block that runs; `extern __shared__` is replaced by compiler.py
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __noinline__
#define __grid_constant__

// ---------------------------------------------------------------------- threads (threads.c)

extern "C" {
extern uint3 cudasim_thread_index, cudasim_block_index;
extern dim3 cudasim_block_dim, cudasim_grid_dim;
extern char cudasim_shared[];
void cudasim_barrier_block();
void cudasim_barrier_warp(unsigned mask);
int cudasim_lane();
uint64_t cudasim_exchange(unsigned mask, uint64_t value, int source);
unsigned cudasim_ballot(unsigned mask, int predicate);
}

#define threadIdx cudasim_thread_index
#define blockIdx cudasim_block_index
#define blockDim cudasim_block_dim
#define gridDim cudasim_grid_dim
static const int warpSize = 32;

namespace cudasim {
// kernel(arguments...), where CUDA hands over one pointer to each argument.
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}
template <class... A>
void call(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>{});
}

// The value that the lane `source` of each group of `width` lanes gives; one's own where there is no such lane.
template <class V>
V exchange(unsigned mask, V value, int source, bool exists) {
    static_assert(sizeof(V) <= 8, "a shuffle moves up to 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = cudasim_exchange(mask, bits, exists ? source : cudasim_lane());
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class To, class From>
To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
} // namespace cudasim

inline void __syncthreads() { cudasim_barrier_block(); }
inline void __syncwarp(unsigned mask = ~0u) { cudasim_barrier_warp(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class V>
V __shfl_sync(unsigned mask, V v, int source, int width = 32) {
    return cudasim::exchange(mask, v, (cudasim_lane() & -width) + (source & (width - 1)), true);
}
template <class V>
V __shfl_xor_sync(unsigned mask, V v, int bits, int width = 32) {
    int source = cudasim_lane() ^ bits;
    return cudasim::exchange(mask, v, source, source < (cudasim_lane() & -width) + width);
}
template <class V>
V __shfl_down_sync(unsigned mask, V v, int delta, int width = 32) {
    return cudasim::exchange(mask, v, cudasim_lane() + delta, (cudasim_lane() & (width - 1)) + delta < width);
}
template <class V>
V __shfl_up_sync(unsigned mask, V v, int delta, int width = 32) {
    return cudasim::exchange(mask, v, cudasim_lane() - delta, (cudasim_lane() & (width - 1)) >= delta);
}
inline unsigned __ballot_sync(unsigned mask, int p) { return cudasim_ballot(mask, p); }
inline int __any_sync(unsigned mask, int p) { return cudasim_ballot(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return cudasim_ballot(mask, !p) == 0; }

// ---------------------------------------------------------------------- atomics: one thread runs at a time

template <class V, class U>
V atomicAdd(V* p, U v) {
    V old = *p;
    *p = old + static_cast<V>(v);
    return old;
}
template <class V, class U>
V atomicSub(V* p, U v) {
    V old = *p;
    *p = old - static_cast<V>(v);
    return old;
}
template <class V, class U>
V atomicMax(V* p, U v) {
    V old = *p;
    if (v > old) *p = v;
    return old;
}
template <class V, class U>
V atomicMin(V* p, U v) {
    V old = *p;
    if (v < old) *p = v;
    return old;
}
template <class V, class U>
V atomicOr(V* p, U v) {
    V old = *p;
    *p = old | v;
    return old;
}
template <class V, class U>
V atomicAnd(V* p, U v) {
    V old = *p;
    *p = old & v;
    return old;
}
template <class V, class U>
V atomicExch(V* p, U v) {
    V old = *p;
    *p = v;
    return old;
}
template <class V, class U, class W>
V atomicCAS(V* p, U expected, W v) {
    V old = *p;
    if (old == expected) *p = v;
    return old;
}
template <class V>
V __ldg(const V* p) {
    return *p;
}

// ---------------------------------------------------------------------- arithmetic

using std::abs; // without it, abs of a float is that of an int
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

#define CUDASIM_MIN_MAX(type)                                        \
    inline type max(type a, type b) { return a < b ? b : a; }        \
    inline type min(type a, type b) { return b < a ? b : a; }
CUDASIM_MIN_MAX(int)
CUDASIM_MIN_MAX(unsigned)
CUDASIM_MIN_MAX(long)
CUDASIM_MIN_MAX(unsigned long)
CUDASIM_MIN_MAX(long long)
CUDASIM_MIN_MAX(unsigned long long)
#undef CUDASIM_MIN_MAX
inline float max(float a, float b) { return fmaxf(a, b); }
inline float min(float a, float b) { return fminf(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }

// sin πx, exact where it is 0 or ±1
inline double sinpi(double x) {
    double turn = x - 2 * rint(x / 2), quarter = rint(2 * turn), rest = M_PI * (turn - quarter / 2);
    switch (static_cast<int>(quarter) & 3) {
        case 0: return sin(rest);
        case 1: return cos(rest);
        case 2: return -sin(rest);
        default: return -cos(rest);
    }
}
inline double cospi(double x) { return sinpi(x + 0.5); }
inline float sinpif(float x) { return sinpi(static_cast<double>(x)); }
inline float cospif(float x) { return cospi(static_cast<double>(x)); }
inline float sinpi(float x) { return sinpif(x); }
inline float cospi(float x) { return cospif(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<uint64_t>(a) * b >> 32; }

inline int __float_as_int(float x) { return cudasim::same_bits<int>(x); }
inline float __int_as_float(int x) { return cudasim::same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return cudasim::same_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return cudasim::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return cudasim::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cudasim::same_bits<double>(x); }
