/* The part of cuBLAS that CuPy's products need, as plain loops. Matrices are stored by columns: element (i, j) of A
   stands at A[i + j * lda]. Everything is summed in float64; what is not here returns NOT_SUPPORTED (see build.py). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum Status { SUCCESS = 0, INVALID = 7 };
enum Type { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2, BFLOAT16 = 14 };          /* cudaDataType */
enum Compute { COMPUTE_16F = 64, COMPUTE_16F_PEDANTIC = 65, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71 };

/* ------------------------------------------------------------------ elements of any type */

static double load(const void *p, int type, ptrdiff_t i) {
    switch (type) {
    case FLOAT32: return ((const float *)p)[i];
    case FLOAT64: return ((const double *)p)[i];
    case FLOAT16: return ((const _Float16 *)p)[i];
    default: {
        uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16; /* bfloat16: the upper half of a float32 */
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    }
}

static void store(void *p, int type, ptrdiff_t i, double value) {
    switch (type) {
    case FLOAT32: ((float *)p)[i] = value; break;
    case FLOAT64: ((double *)p)[i] = value; break;
    case FLOAT16: ((_Float16 *)p)[i] = value; break;
    default: {
        float narrow = value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        bits += 0x7FFF + (bits >> 16 & 1); /* to the nearest, ties to even */
        ((uint16_t *)p)[i] = bits >> 16;
    }
    }
}

static double scalar(const void *p, int compute) {
    if (compute == COMPUTE_64F || compute == COMPUTE_64F_PEDANTIC) return load(p, FLOAT64, 0);
    if (compute == COMPUTE_16F || compute == COMPUTE_16F_PEDANTIC) return load(p, FLOAT16, 0);
    return load(p, FLOAT32, 0);
}

/* ------------------------------------------------------------------ products */

typedef struct {
    const void *data;
    int type, ld, transposed;
    ptrdiff_t offset;
} Matrix;

static double at(Matrix a, ptrdiff_t i, ptrdiff_t j) {
    return load(a.data, a.type, a.offset + (a.transposed ? j + i * a.ld : i + j * a.ld));
}

/* C = alpha A B + beta C, with A (m, k), B (k, n), C (m, n) */
static int gemm(int m, int n, int k, double alpha, Matrix a, Matrix b, double beta, void *c, int type, int ldc,
                ptrdiff_t offset) {
    if (a.ld < (a.transposed ? k : m) || b.ld < (b.transposed ? n : k) || ldc < m) return INVALID;
    double *rows = malloc(sizeof(double) * ((size_t)m * k + k)), *column = rows + (size_t)m * k;
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t p = 0; p < k; p++) rows[i * k + p] = at(a, i, p);
    for (ptrdiff_t j = 0; j < n; j++) {
        for (ptrdiff_t p = 0; p < k; p++) column[p] = at(b, p, j);
        for (ptrdiff_t i = 0; i < m; i++) {
            double sum = 0;
            for (ptrdiff_t p = 0; p < k; p++) sum += rows[i * k + p] * column[p];
            ptrdiff_t here = offset + i + j * ldc;
            store(c, type, here, alpha * sum + (beta ? beta * load(c, type, here) : 0));
        }
    }
    free(rows);
    return SUCCESS;
}

#define PRODUCTS(letter, real, type)                                                                                   \
    int cublas##letter##gemm_v2(void *handle, int ta, int tb, int m, int n, int k, real *alpha, void *a, int lda,      \
                                void *b, int ldb, real *beta, void *c, int ldc) {                                      \
        Matrix left = {a, type, lda, ta}, right = {b, type, ldb, tb};                                                  \
        return gemm(m, n, k, *alpha, left, right, *beta, c, type, ldc, 0);                                             \
    }                                                                                                                  \
    int cublas##letter##gemmBatched(void *handle, int ta, int tb, int m, int n, int k, real *alpha, void **a, int lda, \
                                    void **b, int ldb, real *beta, void **c, int ldc, int count) {                     \
        int status = SUCCESS;                                                                                          \
        for (int i = 0; i < count && !status; i++)                                                                     \
            status = cublas##letter##gemm_v2(handle, ta, tb, m, n, k, alpha, a[i], lda, b[i], ldb, beta, c[i], ldc);   \
        return status;                                                                                                 \
    }                                                                                                                  \
    /* y = alpha A x + beta y, A stored as (m, n) */                                                                   \
    int cublas##letter##gemv_v2(void *handle, int ta, int m, int n, real *alpha, void *a, int lda, real *x, int incx,  \
                                real *beta, real *y, int incy) {                                                       \
        Matrix left = {a, type, lda, ta};                                                                              \
        int rows = ta ? n : m, columns = ta ? m : n;                                                                   \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                                         \
            double sum = 0;                                                                                            \
            for (ptrdiff_t j = 0; j < columns; j++) sum += at(left, i, j) * x[j * incx];                               \
            y[i * incy] = *alpha * sum + (*beta ? *beta * y[i * incy] : 0);                                            \
        }                                                                                                              \
        return SUCCESS;                                                                                                \
    }                                                                                                                  \
    /* A += alpha x y^T */                                                                                             \
    int cublas##letter##ger_v2(void *handle, int m, int n, real *alpha, real *x, int incx, real *y, int incy, real *a, \
                               int lda) {                                                                              \
        for (ptrdiff_t j = 0; j < n; j++)                                                                              \
            for (ptrdiff_t i = 0; i < m; i++) a[i + j * lda] += *alpha * x[i * incx] * y[j * incy];                    \
        return SUCCESS;                                                                                                \
    }                                                                                                                  \
    /* C = alpha A + beta B: how CuPy transposes */                                                                    \
    int cublas##letter##geam(void *handle, int ta, int tb, int m, int n, real *alpha, void *a, int lda, real *beta,    \
                             void *b, int ldb, real *c, int ldc) {                                                     \
        Matrix left = {a, type, lda, ta}, right = {b, type, ldb, tb};                                                  \
        for (ptrdiff_t j = 0; j < n; j++)                                                                              \
            for (ptrdiff_t i = 0; i < m; i++)                                                                          \
                c[i + j * ldc] = (*alpha ? *alpha * at(left, i, j) : 0) + (*beta ? *beta * at(right, i, j) : 0);       \
        return SUCCESS;                                                                                                \
    }                                                                                                                  \
    int cublas##letter##dot_v2(void *handle, int n, real *x, int incx, real *y, int incy, real *result) {              \
        double sum = 0;                                                                                                \
        for (ptrdiff_t i = 0; i < n; i++) sum += (double)x[i * incx] * y[i * incy];                                    \
        *result = sum;                                                                                                 \
        return SUCCESS;                                                                                                \
    }

PRODUCTS(S, float, FLOAT32)
PRODUCTS(D, double, FLOAT64)

int cublasSgemmEx(void *handle, int ta, int tb, int m, int n, int k, float *alpha, void *a, int a_type, int lda,
                  void *b, int b_type, int ldb, float *beta, void *c, int c_type, int ldc) {
    Matrix left = {a, a_type, lda, ta}, right = {b, b_type, ldb, tb};
    return gemm(m, n, k, *alpha, left, right, *beta, c, c_type, ldc, 0);
}

int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, void *alpha, void *a, int a_type,
                               int lda, long long a_step, void *b, int b_type, int ldb, long long b_step, void *beta,
                               void *c, int c_type, int ldc, long long c_step, int count, int compute, int algorithm) {
    int status = SUCCESS;
    for (ptrdiff_t i = 0; i < count && !status; i++) {
        Matrix left = {a, a_type, lda, ta, i * a_step}, right = {b, b_type, ldb, tb, i * b_step};
        status = gemm(m, n, k, scalar(alpha, compute), left, right, scalar(beta, compute), c, c_type, ldc, i * c_step);
    }
    return status;
}

int cublasGemmEx(void *handle, int ta, int tb, int m, int n, int k, void *alpha, void *a, int a_type, int lda, void *b,
                 int b_type, int ldb, void *beta, void *c, int c_type, int ldc, int compute, int algorithm) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                      c_type, ldc, 0, 1, compute, algorithm);
}

/* ------------------------------------------------------------------ handles and modes */

static int math_mode; /* TF32 or not: kept, and without effect */

int cublasSetMathMode(void *handle, int mode) {
    math_mode = mode;
    return SUCCESS;
}

int cublasGetMathMode(void *handle, int *mode) {
    *mode = math_mode;
    return SUCCESS;
}

int cublasCreate_v2(void **handle) {
    *handle = (void *)16;
    return SUCCESS;
}

int cublasGetStream_v2(void *handle, void **stream) {
    *stream = NULL;
    return SUCCESS;
}

int cublasGetPointerMode_v2(void *handle, int *mode) {
    *mode = 0;
    return SUCCESS;
}

int cublasGetVersion_v2(void *handle, int *version) {
    *version = 120900;
    return SUCCESS;
}

int cublasDestroy_v2(void *handle) { return SUCCESS; }
int cublasSetStream_v2(void *handle, void *stream) { return SUCCESS; }
int cublasSetPointerMode_v2(void *handle, int mode) { return SUCCESS; }
