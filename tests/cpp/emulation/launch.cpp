#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "emulation.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

// Kernels: blocks one after another, the threads of a block as fibers that change places at
// __syncthreads.
thread_local dim3 threadIdx;
thread_local dim3 blockIdx;
thread_local dim3 blockDim;
thread_local dim3 gridDim;

namespace {

constexpr std::size_t kStack = 64 << 10;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  const std::function<void()>* work = nullptr;
  bool done = true;
};

thread_local ucontext_t scheduler;
thread_local Fiber* running = nullptr;

// The sanitizer wants to be told of every change of stacks.
struct Switch {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  Switch(const void* stack, std::size_t size) {
    __sanitizer_start_switch_fiber(&fake, stack, size);
  }
  void arrived() { __sanitizer_finish_switch_fiber(fake, &bottom, &size); }
  static inline thread_local const void* bottom = nullptr;
  static inline thread_local std::size_t size = 0;
#else
  Switch(const void*, std::size_t) {}
  void arrived() {}
  static constexpr const void* bottom = nullptr;
  static constexpr std::size_t size = 0;
#endif
};

// A fiber's life: one thread of a kernel after another.
void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &Switch::bottom, &Switch::size);
#endif
  for (;;) {
    Fiber* self = running;
    (*self->work)();
    self->done = true;
    Switch change(Switch::bottom, Switch::size);
    swapcontext(&self->context, &scheduler);
    change.arrived();
  }
}

void resume(Fiber& fiber) {
  running = &fiber;
  Switch change(fiber.stack.get(), kStack);
  swapcontext(&scheduler, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(change.fake, nullptr, nullptr);
#endif
  running = nullptr;
}

// Fibers are kept for the next kernel of this thread.
Fiber& fiber_at(std::size_t i) {
  thread_local std::vector<std::unique_ptr<Fiber>> fibers;
  while (fibers.size() <= i) {
    auto fiber = std::make_unique<Fiber>();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStack;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, fiber_main, 0);
    fibers.push_back(std::move(fiber));
  }
  return *fibers[i];
}

void run_block(unsigned threads, const std::function<void()>& work) {
  // Until the first one waits, all threads share one fiber.
  std::vector<std::pair<unsigned, Fiber*>> waiting;
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& fiber = fiber_at(waiting.size());
    fiber.work = &work;
    fiber.done = false;
    threadIdx.x = t;
    resume(fiber);
    if (!fiber.done) waiting.emplace_back(t, &fiber);
  }
  while (!waiting.empty()) {
    if (waiting.size() != threads) emulation_abort("__syncthreads was not reached by all threads");
    std::size_t done = 0;
    for (auto& [t, fiber] : waiting) {
      threadIdx.x = t;
      resume(*fiber);
      done += fiber->done;
    }
    if (done != 0 && done != threads) {
      emulation_abort("__syncthreads was not reached by all threads");
    }
    if (done) waiting.clear();
  }
}

}  // namespace

void __syncthreads() {
  Fiber* self = running;
  Switch change(Switch::bottom, Switch::size);
  swapcontext(&self->context, &scheduler);
  change.arrived();
}

unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  constexpr unsigned kWarp = 32;
  if (mask != 0xffffffffu) emulation_abort("__reduce_max_sync is not for all threads of a warp");
  thread_local unsigned values[1024];
  const unsigned self = threadIdx.x;
  values[self] = value;
  __syncthreads();
  const unsigned begin = self / kWarp * kWarp;
  unsigned largest = 0;
  for (unsigned t = begin; t < begin + kWarp && t < blockDim.x; ++t) {
    if (values[t] > largest) largest = values[t];
  }
  __syncthreads();  // before anybody writes again
  return largest;
}

cudaError_t emulate_launch(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
  if (emulating("no_launch")) return emulated_error(cudaErrorLaunchFailure);
  const unsigned blocks = config.gridDim.x;
  const unsigned threads = config.blockDim.x;
  if (blocks == 0 || blocks > 0x7fffffffu || threads == 0 || threads > 1024) {
    return emulated_error(cudaErrorInvalidConfiguration);
  }
  int device = 0;
  cudaGetDevice(&device);
  const MemoryAccess access(device);
  gridDim = config.gridDim;
  blockDim = config.blockDim;
  for (unsigned b = 0; b < blocks; ++b) {
    blockIdx.x = b;
    run_block(threads, thread);
  }
  return cudaSuccess;
}

void emulation_abort(const char* why) {
  std::fprintf(stderr, "emulated CUDA: %s\n", why);
  std::abort();
}
