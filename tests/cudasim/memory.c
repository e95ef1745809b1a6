/* Device memory is the host's, with a list of what belongs to which device. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum CopyKind { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, DEFAULT };

typedef struct Allocation {
    char *start;
    size_t size;
    int device;
    struct Allocation *next;
} Allocation;

static const size_t DEVICE_BYTES = (size_t)8 << 30;

static Allocation *allocations;
static size_t used[DEVICES];
static long copies[4];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int current_device;

/* ------------------------------------------------------------------ devices */

int sim_cudaGetDeviceCount(int *count) {
    *count = DEVICES;
    return SUCCESS;
}

int sim_cudaGetDevice(int *device) {
    *device = current_device;
    return SUCCESS;
}

int sim_cudaSetDevice(int device) {
    if (device < 0 || device >= DEVICES) return INVALID_DEVICE;
    current_device = device;
    return SUCCESS;
}

/* ------------------------------------------------------------------ allocations */

int cudasim_device_of(const void *p) {
    const char *address = p;
    int device = -1;
    pthread_mutex_lock(&lock);
    for (Allocation *a = allocations; a && device < 0; a = a->next)
        if (address >= a->start && address < a->start + a->size) device = a->device;
    pthread_mutex_unlock(&lock);
    return device;
}

static size_t round_up(size_t bytes) { return (bytes + 511) / 512 * 512; }

int sim_cudaMalloc(void **p, size_t size) {
    if (used[current_device] + size > DEVICE_BYTES) return OUT_OF_MEMORY;
    Allocation *a = malloc(sizeof *a);
    *a = (Allocation){aligned_alloc(512, round_up(size + 1)), size, current_device, NULL};
    memset(a->start, 0xFF, size); /* NaN in every floating-point type: what is read before it is written shows */
    pthread_mutex_lock(&lock);
    a->next = allocations;
    allocations = a;
    used[a->device] += size;
    pthread_mutex_unlock(&lock);
    *p = a->start;
    return SUCCESS;
}

int sim_cudaFree(void *p) {
    if (!p) return SUCCESS;
    pthread_mutex_lock(&lock);
    Allocation **link = &allocations;
    while (*link && (*link)->start != p) link = &(*link)->next;
    Allocation *found = *link;
    if (found) {
        *link = found->next;
        used[found->device] -= found->size;
    }
    pthread_mutex_unlock(&lock);
    if (!found) return INVALID_VALUE;
    free(found->start);
    free(found);
    return SUCCESS;
}

int sim_cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *free_bytes = DEVICE_BYTES - used[current_device];
    *total = DEVICE_BYTES;
    return SUCCESS;
}

int sim_cudaHostAlloc(void **p, size_t size, unsigned flags) {
    (void)flags;
    *p = aligned_alloc(512, round_up(size + 1));
    return SUCCESS;
}

int sim_cudaFreeHost(void *p) {
    free(p);
    return SUCCESS;
}

struct PointerAttributes { /* struct cudaPointerAttributes */
    int type, device;
    const void *device_pointer, *host_pointer;
};

int sim_cudaPointerGetAttributes(struct PointerAttributes *attributes, const void *p) {
    int device = cudasim_device_of(p);
    if (device >= 0)
        *attributes = (struct PointerAttributes){2, device, p, NULL};
    else
        *attributes = (struct PointerAttributes){0, -2, NULL, p};
    return SUCCESS;
}

/* ------------------------------------------------------------------ copies */

/* How often memory was copied: from host to device, back, and between and inside of devices. */
long cudasim_copies(int kind) { return copies[kind]; }

int sim_cudaMemcpy(void *to, const void *from, size_t size, int kind) {
    if (kind == DEFAULT) kind = 2 * (cudasim_device_of(from) >= 0) + (cudasim_device_of(to) >= 0);
    if (kind < HOST_TO_HOST || kind > DEVICE_TO_DEVICE) return INVALID_VALUE;
    copies[kind]++;
    memmove(to, from, size);
    return SUCCESS;
}

int sim_cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    (void)stream;
    return sim_cudaMemcpy(to, from, size, kind);
}

int sim_cudaMemcpyPeer(void *to, int to_device, const void *from, int from_device, size_t size) {
    (void)to_device, (void)from_device;
    return sim_cudaMemcpy(to, from, size, DEVICE_TO_DEVICE);
}

int sim_cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t size, void *stream) {
    (void)stream;
    return sim_cudaMemcpyPeer(to, to_device, from, from_device, size);
}

int sim_cudaMemset(void *p, int value, size_t size) {
    memset(p, value, size);
    return SUCCESS;
}

int sim_cudaMemsetAsync(void *p, int value, size_t size, void *stream) {
    (void)stream;
    return sim_cudaMemset(p, value, size);
}
