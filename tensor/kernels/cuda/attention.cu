// Attention without a T × S matrix in memory (see nn/functional/attention.py; Dao et al. 2022, arXiv:2205.14135).
//
//     s = scale q kᵀ    p = softmax(s)    y = dropout(p) v        for each sequence b and head h
//
// A block of 16 × 16 threads meets the scores tile by tile, of TILE keys and TILE or 2 TILE queries. The rows that a
// tile is made from lie in shared memory, and each thread holds some elements of the result in registers: of a tile
// with R × C elements, those at (ty + 16 i, tx + 16 j). HEAD is the number of channels, made up to a multiple of 16 with
// zeros. There are no atomics: backward makes the scores twice, once by queries, for dq, and once by keys, for dk and
// dv.

#include "rows.cuh"
#include "random_bits.cuh"

const int SIDE = 16;

// One array (B, H, T, D): the D elements of a row lie side by side, rows, heads and sequences are strides apart.
struct Rows {
    scalar* data;
    long long b, h, t;

    __device__ scalar* head(int bh, int H) const { return data + bh / H * b + bh % H * h; }
};

struct Settings {
    accum scale, grow;  // grow = 1 / (1 − p) for what dropout leaves
    unsigned drop, low, high;  // bits below `drop` drop a score; the words of the seed
    int causal, H, T, S, D, E;
};

// One more element a row: else the threads of a warp, which read a column, would all meet in the same memory bank.
template <int R>
using Tile = accum[R][HEAD + 1];
template <int R>
using Scores = accum[R][TILE + 1];

// tile[r][d] = factor · row first + r of one head; zeros after the last row and the last channel
template <int R>
__device__ void load(Tile<R>& tile, Rows from, int bh, int H, int first, int rows, int channels, accum factor) {
    const scalar* head = from.head(bh, H);
    for (int i = threadIdx.y * SIDE + threadIdx.x; i < R * HEAD; i += SIDE * SIDE) {
        int r = i / HEAD, d = i % HEAD;
        bool inside = first + r < rows && d < channels;
        tile[r][d] = inside ? factor * accum(head[(first + r) * from.t + d]) : 0;
    }
}

// c[i][j] += Σ_d a[row i][d] b[row j][d], this thread's part of A Bᵀ
template <int RA, int RB>
__device__ void multiply_rows(accum (&c)[RA / SIDE][RB / SIDE], const Tile<RA>& a, const Tile<RB>& b) {
    for (int d = 0; d < HEAD; d++)
        for (int i = 0; i < RA / SIDE; i++)
            for (int j = 0; j < RB / SIDE; j++)
                c[i][j] += a[threadIdx.y + SIDE * i][d] * b[threadIdx.x + SIDE * j][d];
}

// c[i][e] += Σ_s p[row i][s] v[s][channel e], this thread's part of P V
template <int R>
__device__ void multiply(accum (&c)[R / SIDE][HEAD / SIDE], const Scores<R>& p, const Tile<TILE>& v) {
    for (int s = 0; s < TILE; s++)
        for (int i = 0; i < R / SIDE; i++)
            for (int e = 0; e < HEAD / SIDE; e++)
                c[i][e] += p[threadIdx.y + SIDE * i][s] * v[s][threadIdx.x + SIDE * e];
}

// c[j][e] += Σ_t p[t][column j] x[t][channel e], this thread's part of Pᵀ X
__device__ void multiply_columns(
    accum (&c)[TILE / SIDE][HEAD / SIDE], const Scores<TILE>& p, const Tile<TILE>& x) {
    for (int t = 0; t < TILE; t++)
        for (int j = 0; j < TILE / SIDE; j++)
            for (int e = 0; e < HEAD / SIDE; e++)
                c[j][e] += p[t][threadIdx.y + SIDE * j] * x[t][threadIdx.x + SIDE * e];
}

// this thread's part of a tile, times `factor`, into the rows from `first` on of one head
template <int R>
__device__ void store(
    Rows to, int bh, int H, int first, int rows, int channels, const accum (&c)[R][HEAD / SIDE], accum factor) {
    scalar* head = to.head(bh, H);
    for (int i = 0; i < R; i++) {
        int row = first + threadIdx.y + SIDE * i;
        for (int j = 0; j < HEAD / SIDE; j++) {
            int channel = threadIdx.x + SIDE * j;
            if (row < rows && channel < channels) head[row * to.t + channel] = scalar(factor * c[i][j]);
        }
    }
}

// What dropout multiplies the score at (b, h, t, s) by: the bits are those of its number ((b H + h) T + t) S + s.
__device__ accum keep(const Settings& a, int bh, int t, int s) {
    if (a.drop == 0) return 1;
    unsigned number = (unsigned(bh) * a.T + t) * a.S + s;
    return random_bits(number, a.low, a.high) >= a.drop ? a.grow : accum(0);
}

__device__ bool seen(const Settings& a, int t, int s) { return t < a.T && s < a.S && (!a.causal || s <= t); }

// combine over the 16 threads that share the rows of a tile
template <typename Combine>
__device__ accum over_columns(accum v, Combine combine) {
    for (int distance = SIDE / 2; distance > 0; distance /= 2)
        v = combine(v, __shfl_xor_sync(ALL_LANES, v, distance, SIDE));
    return v;
}

// y, and log_sum = ln Σ_s exp(s) of each row, by the online softmax. Of each row we know the largest score so far,
// `top`, and relative to it the sum of exponentials and the sum of values: as top grows, both shrink by
// exp(old top − new top).
extern "C" __global__ void attention(Rows q, Rows k, Rows v, Rows y, accum* log_sum, Settings a) {
    const int QUERIES = 2 * TILE, OWN = QUERIES / SIDE;
    __shared__ Tile<QUERIES> queries;
    __shared__ Tile<TILE> keys;  // and then, in turn, the values
    __shared__ Scores<QUERIES> weights;
    int bh = blockIdx.y, tx = threadIdx.x, ty = threadIdx.y;
    int first = (gridDim.x - 1 - blockIdx.x) * QUERIES;  // the last queries see the most keys: they begin first
    load<QUERIES>(queries, q, bh, a.H, first, a.T, a.D, a.scale);
    accum top[OWN], total[OWN], sum[OWN][HEAD / SIDE] = {};
    for (int i = 0; i < OWN; i++) top[i] = -infinity(), total[i] = 0;

    int end = a.causal ? min(a.S, first + QUERIES) : a.S;
    for (int s0 = 0; s0 < end; s0 += TILE) {
        __syncthreads();  // the values before have been used
        load<TILE>(keys, k, bh, a.H, s0, a.S, a.D, 1);
        __syncthreads();
        accum p[OWN][TILE / SIDE] = {};
        multiply_rows<QUERIES, TILE>(p, queries, keys);
        for (int i = 0; i < OWN; i++) {
            int t = first + ty + SIDE * i;
            accum now = top[i];
            for (int j = 0; j < TILE / SIDE; j++) {
                if (!seen(a, t, s0 + tx + SIDE * j)) p[i][j] = -infinity();
                now = Larger()(now, p[i][j]);
            }
            now = over_columns(now, Larger());
            accum shrink = exp(top[i] - now), row = 0;
            for (int j = 0; j < TILE / SIDE; j++) {
                p[i][j] = exp(p[i][j] - now);
                row += p[i][j];
                weights[ty + SIDE * i][tx + SIDE * j] = p[i][j] * keep(a, bh, t, s0 + tx + SIDE * j);
            }
            total[i] = total[i] * shrink + over_columns(row, Add());
            for (int e = 0; e < HEAD / SIDE; e++) sum[i][e] *= shrink;
            top[i] = now;
        }
        __syncthreads();  // weights are there, and the keys have been used
        load<TILE>(keys, v, bh, a.H, s0, a.S, a.E, 1);
        __syncthreads();
        multiply<QUERIES>(sum, weights, keys);
    }
    for (int i = 0; i < OWN; i++) {
        int t = first + ty + SIDE * i;
        for (int e = 0; e < HEAD / SIDE; e++) sum[i][e] /= total[i];
        if (t < a.T && tx == 0) log_sum[bh * (long long)a.T + t] = top[i] + log(total[i]);
    }
    store<OWN>(y, bh, a.H, first, a.T, a.E, sum, 1);
}

// along[t] = Σ_e dy[t][e] y[t][e], which is Σ_s dp[t][s] p[t][s]: a row for each of a block's 16 half warps
extern "C" __global__ void attention_along(Rows dy, Rows y, accum* along, Settings a) {
    int bh = blockIdx.y, t = blockIdx.x * SIDE + threadIdx.y;
    accum sum = 0;
    for (int e = threadIdx.x; e < a.E && t < a.T; e += SIDE)
        sum += accum(dy.head(bh, a.H)[t * dy.t + e]) * accum(y.head(bh, a.H)[t * y.t + e]);
    sum = over_columns(sum, Add());
    if (t < a.T && threadIdx.x == 0) along[bh * (long long)a.T + t] = sum;
}

// This thread's part of a tile of scores, again: with m = keep / (1 − p),
//     p = exp(s − log_sum)        dropped = p ⊙ m        ds = p ⊙ (dp ⊙ m − along), dp = dy vᵀ
__device__ void scores_backward(
    accum (&dropped)[TILE / SIDE][TILE / SIDE], accum (&ds)[TILE / SIDE][TILE / SIDE], const Tile<TILE>& queries,
    const Tile<TILE>& keys, const Tile<TILE>& dys, const Tile<TILE>& values, const accum* log_sum, const accum* along,
    int bh, int t0, int s0, const Settings& a) {
    accum score[TILE / SIDE][TILE / SIDE] = {}, dp[TILE / SIDE][TILE / SIDE] = {};
    multiply_rows<TILE, TILE>(score, queries, keys);
    multiply_rows<TILE, TILE>(dp, dys, values);
    for (int i = 0; i < TILE / SIDE; i++) {
        int t = t0 + threadIdx.y + SIDE * i;
        long long row = bh * (long long)a.T + min(t, a.T - 1);
        accum log_of_all = log_sum[row], along_row = along[row];
        for (int j = 0; j < TILE / SIDE; j++) {
            int s = s0 + threadIdx.x + SIDE * j;
            accum p = seen(a, t, s) ? exp(score[i][j] - log_of_all) : 0;
            accum m = keep(a, bh, t, s);
            dropped[i][j] = p * m;
            ds[i][j] = p * (dp[i][j] * m - along_row);
        }
    }
}

__device__ void keep_tile(Scores<TILE>& tile, const accum (&c)[TILE / SIDE][TILE / SIDE]) {
    for (int i = 0; i < TILE / SIDE; i++)
        for (int j = 0; j < TILE / SIDE; j++) tile[threadIdx.y + SIDE * i][threadIdx.x + SIDE * j] = c[i][j];
}

// dq = scale ds k: a block takes TILE queries and goes through their keys
extern "C" __global__ void attention_backward_queries(
    Rows dy, Rows q, Rows k, Rows v, const accum* log_sum, const accum* along, Rows dq, Settings a) {
    __shared__ Tile<TILE> queries, keys, values, dys;
    __shared__ Scores<TILE> scores;
    int bh = blockIdx.y, t0 = (gridDim.x - 1 - blockIdx.x) * TILE;
    load<TILE>(queries, q, bh, a.H, t0, a.T, a.D, a.scale);
    load<TILE>(dys, dy, bh, a.H, t0, a.T, a.E, 1);
    accum sum[TILE / SIDE][HEAD / SIDE] = {};
    int end = a.causal ? min(a.S, t0 + TILE) : a.S;
    for (int s0 = 0; s0 < end; s0 += TILE) {
        __syncthreads();  // keys and scores before have been used
        load<TILE>(keys, k, bh, a.H, s0, a.S, a.D, 1);
        load<TILE>(values, v, bh, a.H, s0, a.S, a.E, 1);
        __syncthreads();
        accum dropped[TILE / SIDE][TILE / SIDE], ds[TILE / SIDE][TILE / SIDE];
        scores_backward(dropped, ds, queries, keys, dys, values, log_sum, along, bh, t0, s0, a);
        keep_tile(scores, ds);
        __syncthreads();
        multiply<TILE>(sum, scores, keys);
    }
    store<TILE / SIDE>(dq, bh, a.H, t0, a.T, a.D, sum, a.scale);
}

// dk = scale dsᵀ q and dv = (p ⊙ m)ᵀ dy: a block takes TILE keys and goes through the queries that see them
extern "C" __global__ void attention_backward_keys(
    Rows dy, Rows q, Rows k, Rows v, const accum* log_sum, const accum* along, Rows dk, Rows dv, Settings a) {
    __shared__ Tile<TILE> queries, keys, values, dys;
    __shared__ Scores<TILE> weights, scores;
    int bh = blockIdx.y, s0 = blockIdx.x * TILE;
    load<TILE>(keys, k, bh, a.H, s0, a.S, a.D, 1);
    load<TILE>(values, v, bh, a.H, s0, a.S, a.E, 1);
    accum dk_sum[TILE / SIDE][HEAD / SIDE] = {}, dv_sum[TILE / SIDE][HEAD / SIDE] = {};
    for (int t0 = a.causal ? s0 : 0; t0 < a.T; t0 += TILE) {
        __syncthreads();  // queries and scores before have been used
        load<TILE>(queries, q, bh, a.H, t0, a.T, a.D, a.scale);
        load<TILE>(dys, dy, bh, a.H, t0, a.T, a.E, 1);
        __syncthreads();
        accum dropped[TILE / SIDE][TILE / SIDE], ds[TILE / SIDE][TILE / SIDE];
        scores_backward(dropped, ds, queries, keys, dys, values, log_sum, along, bh, t0, s0, a);
        keep_tile(weights, dropped);
        keep_tile(scores, ds);
        __syncthreads();
        multiply_columns(dv_sum, weights, dys);
        multiply_columns(dk_sum, scores, queries);  // queries hold scale · q
    }
    store<TILE / SIDE>(dk, bh, a.H, s0, a.S, a.D, dk_sum, 1);
    store<TILE / SIDE>(dv, bh, a.H, s0, a.S, a.E, dv_sum, 1);
}
