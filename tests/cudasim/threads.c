/* A CUDA grid on one processor: blocks run one after the other, the threads of a block as fibers.

   A fiber runs until it comes to a barrier (__syncthreads, __syncwarp, a shuffle) that others have not reached; then the
   next one runs. Kernels without barriers need no fibers: a plain loop calls them for every thread. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sim.h"

enum { STACK = 256 << 10 }; /* bytes; only the pages that are used take memory */

/* Read by the kernels, see device.h. */
Triple cudasim_thread_index, cudasim_block_index, cudasim_block_dim, cudasim_grid_dim;
_Alignas(1024) char cudasim_shared[MAX_SHARED];

typedef struct {
    ucontext_t start;
    jmp_buf resume;
    bool started, done;
    Triple index;
    const long *barrier; /* the `opened` of the barrier that it waits for, which is `seen` until that opens */
    long seen;
} Fiber;

typedef struct {
    int waiting; /* threads that have come to it */
    long opened; /* how often it has opened */
} Barrier;

typedef struct {
    uint32_t alive; /* bit i: its thread i has not returned */
    uint32_t arrived;
    uint32_t expected; /* the mask that those who wait have named */
    long opened;
    uint64_t given[WARP], got[WARP]; /* what its threads hand to one another at a barrier */
    int source[WARP];                /* the lane that each wants to have it from, or BALLOT */
} Warp;

enum { BALLOT = -1 };

static Fiber fibers[MAX_THREADS];
static Warp warps[MAX_THREADS / WARP];
static Barrier block_barrier;
static jmp_buf scheduler;
static int current, alive;
static long progress; /* barriers opened and threads returned; if it stands still, all wait for ever */
static KernelThread kernel;
static void **kernel_arguments;
static bool shuffled;
static unsigned random_state;

/* Run blocks and warps in an order drawn from `seed` from here on; 0 means one after the other. */
void cudasim_shuffle(unsigned seed) {
    shuffled = seed != 0;
    random_state = seed;
}

static int random_below(int n) { return rand_r(&random_state) % n; }

/* ------------------------------------------------------------------ fibers */

static void leave(void) {
    if (!_setjmp(fibers[current].resume)) _longjmp(scheduler, 1);
}

/* Let others run until the barrier with this `opened` opens. */
static void wait_for(const long *barrier, long seen) {
    Fiber *fiber = &fibers[current];
    fiber->barrier = barrier;
    fiber->seen = seen;
    while (*barrier == seen) leave();
    fiber->barrier = NULL;
}

static bool waits(const Fiber *fiber) { return fiber->barrier && *fiber->barrier == fiber->seen; }

static void open_block_barrier_if_full(void) {
    if (alive && block_barrier.waiting == alive) {
        block_barrier.waiting = 0;
        block_barrier.opened++;
        progress++;
    }
}

/* Give every thread that has arrived what it wants: the value of its source, or its own where that has not arrived. */
static void exchange(Warp *warp) {
    uint64_t ballot = 0;
    for (int lane = 0; lane < WARP; lane++)
        if (warp->arrived >> lane & 1 && warp->given[lane]) ballot |= 1u << lane;
    for (int lane = 0; lane < WARP; lane++) {
        int source = warp->source[lane];
        if (!(warp->arrived >> lane & 1)) continue;
        warp->got[lane] = source == BALLOT ? ballot : warp->given[warp->arrived >> source & 1 ? source : lane];
    }
}

static void open_warp_barrier_if_full(Warp *warp) {
    if (warp->arrived && warp->arrived == (warp->expected & warp->alive)) {
        exchange(warp);
        warp->arrived = 0;
        warp->opened++;
        progress++;
    }
}

static void fiber_main(void) {
    for (;;) { /* a fiber serves one thread of block after block */
        kernel(kernel_arguments);
        Warp *warp = &warps[current / WARP];
        fibers[current].done = true;
        alive--;
        warp->alive &= ~(1u << current % WARP);
        progress++;
        open_block_barrier_if_full(); /* those who wait no longer wait for this one */
        open_warp_barrier_if_full(warp);
        leave();
    }
}

static Triple thread_index(int i) {
    Triple d = cudasim_block_dim;
    return (Triple){i % d.x, i / d.x % d.y, i / (d.x * d.y)};
}

static void enter(int i) {
    Fiber *fiber = &fibers[i];
    current = i;
    cudasim_thread_index = fiber->index;
    if (_setjmp(scheduler)) return;
    if (fiber->started) _longjmp(fiber->resume, 1);
    fiber->started = true;
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    fiber->start.uc_stack.ss_size = STACK;
    makecontext(&fiber->start, fiber_main, 0);
    setcontext(&fiber->start);
}

static void enter_warp(int w, int threads, int first) {
    for (int lane = 0; lane < WARP; lane++) {
        int i = w * WARP + (first + lane) % WARP;
        if (i < threads && !fibers[i].done && !waits(&fibers[i])) enter(i);
    }
}

/* Warps drawn by chance, each up to 64 barriers far before the next one runs. */
static void run_some_warps(int count, int threads) {
    for (int turn = 0; alive && turn < count; turn++) {
        int w = random_below(count);
        for (int steps = random_below(64); steps && warps[w].alive; steps--)
            enter_warp(w, threads, random_below(WARP));
    }
}

/* All threads of one block; false if they wait for one another for ever. */
static bool run_block(int threads) {
    int count = (threads + WARP - 1) / WARP;
    alive = threads;
    block_barrier.waiting = 0;
    for (int i = 0; i < threads; i++) {
        fibers[i].done = false;
        fibers[i].barrier = NULL;
        fibers[i].index = thread_index(i);
    }
    for (int w = 0; w < count; w++) {
        int left = threads - w * WARP;
        warps[w].alive = left >= WARP ? 0xFFFFFFFFu : (1u << left) - 1;
        warps[w].arrived = 0;
    }
    while (alive) {
        long before = progress;
        if (shuffled) run_some_warps(count, threads);
        for (int w = 0; w < count; w++) enter_warp(w, threads, 0);
        if (progress == before) {
            for (int i = 0; i < threads; i++) fibers[i].started = false; /* they stand in the middle of a kernel */
            return false;
        }
    }
    return true;
}

bool cudasim_run(KernelThread thread, void **arguments, Triple grid, Triple block, size_t shared_bytes, bool barriers) {
    unsigned long blocks = (unsigned long)grid.x * grid.y * grid.z;
    int threads = block.x * block.y * block.z;
    cudasim_grid_dim = grid;
    cudasim_block_dim = block;
    kernel = thread;
    kernel_arguments = arguments;
    unsigned long offset = shuffled ? rand_r(&random_state) % blocks : 0;
    for (unsigned long n = 0; n < blocks; n++) {
        unsigned long b = (n + offset) % blocks;
        cudasim_block_index = (Triple){b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        memset(cudasim_shared, 0xFF, shared_bytes); /* NaN: nothing is left of the block before */
        if (barriers) {
            if (!run_block(threads)) return false;
            continue;
        }
        for (int i = 0; i < threads; i++) {
            cudasim_thread_index = thread_index(i);
            thread(arguments);
        }
    }
    return true;
}

/* ------------------------------------------------------------------ what kernels call */

void cudasim_barrier_block(void) {
    long before = block_barrier.opened;
    block_barrier.waiting++;
    open_block_barrier_if_full();
    wait_for(&block_barrier.opened, before);
}

/* Wait for the threads of the warp in `mask`. */
void cudasim_barrier_warp(unsigned mask) {
    Warp *warp = &warps[current / WARP];
    long before = warp->opened;
    warp->expected = warp->arrived ? warp->expected & mask : mask;
    warp->arrived |= 1u << current % WARP;
    open_warp_barrier_if_full(warp);
    wait_for(&warp->opened, before);
}

int cudasim_lane(void) { return current % WARP; }

/* Every thread of `mask` gives a value; returns that of the lane `source`, or one's own where that lane gives none. */
uint64_t cudasim_exchange(unsigned mask, uint64_t value, int source) {
    Warp *warp = &warps[current / WARP];
    int lane = current % WARP;
    warp->given[lane] = value;
    warp->source[lane] = source;
    cudasim_barrier_warp(mask);
    return warp->got[lane];
}

/* Bit i: thread i of the warp is in `mask` and its `predicate` holds. */
unsigned cudasim_ballot(unsigned mask, int predicate) { return cudasim_exchange(mask, predicate != 0, BALLOT); }
