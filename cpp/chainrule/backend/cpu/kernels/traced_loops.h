#pragma once

#include "chainrule/backend/cpu/kernels/traced_interpreter.h"

// The loops of a user's rule. Where it is machine code (backend/cpu/traced_code.h), that runs; else
// the interpreter does.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace traced_loops {

using update::kMaxStates;
using update::Row;

// Calls step(done, count, gradient) for blocks of which the row's hooks have computed the gradient.
template <class T, class F>
CR_INLINE void for_gradients(const Row& row,
                             std::int64_t n,
                             const T* p,
                             const T* g,
                             const F& step) {
  constexpr std::int64_t kBlock = Evaluator<T>::kBlock;
  alignas(64) T gradient[kBlock];
  const auto program = update::Program<T>::of(row.program);
  for (std::int64_t done = 0; done < n; done += kBlock) {
    const std::int64_t count = n - done < kBlock ? n - done : kBlock;
    for (std::int64_t i = 0; i < count; ++i) gradient[i] = program(g[done + i], p[done + i]);
    step(done, count, gradient);
  }
}

template <class T, bool programmed>
void run_loop(update::TracedLoop loop,
              const Row& row,
              std::int64_t n,
              T* p,
              const T* g,
              T* const* states) {
  T scalars[kMaxCoefs + kMaxConstants];
  find_scalars(*row.traced, row.coefs, scalars);
  void* arrays[kMaxStates];
  const auto run = [&](std::int64_t done, std::int64_t count, const T* gradient) {
    for (int k = 0; k < row.traced->state_count; ++k) arrays[k] = states[k] + done;
    loop(count, p + done, gradient, arrays, scalars);
  };
  if constexpr (programmed) {
    for_gradients(row, n, p, g, run);
  } else {
    run(0, n, g);
  }
}

template <class T, bool programmed>
[[gnu::noinline]] void interpret(const Row& row,
                                 std::int64_t n,
                                 T* p,
                                 const T* g,
                                 T* const* states) {
  constexpr std::int64_t kBlock = Evaluator<T>::kBlock;
  Evaluator<T> evaluator(*row.traced, row.coefs, p, states);
  // Buffers need not be asked for.
  const std::int64_t left = row.in_place ? static_cast<T*>(row.param) + row.size - p : 0;
  const auto run = [&](std::int64_t done, std::int64_t count, const T* gradient) {
    evaluator.run(count, gradient, done + kBlock < left ? g + done + kBlock : nullptr);
  };
  if constexpr (programmed) {
    for_gradients(row, n, p, g, run);
  } else {
    for (std::int64_t done = 0; done < n; done += kBlock) {
      run(done, n - done < kBlock ? n - done : kBlock, g + done);
    }
  }
}

template <class T, bool programmed>
void traced_step(const Row& row, std::int64_t n, T* p, const T* g, T* const* states) {
  const update::TracedLoop loop = row.traced->loop[sizeof(T) == sizeof(double)];
  if (loop) return run_loop<T, programmed>(loop, row, n, p, g, states);
  interpret<T, programmed>(row, n, p, g, states);
}

template <class T>
struct TracedLoops {
  static constexpr update_loops::RuleLoops<T> of = {
      {traced_step<T, false>, traced_step<T, true>, traced_step<T, true>},
      nullptr};
};

// The loops of a row's rule.
template <class T>
CR_INLINE const update_loops::RuleLoops<T>& loops_of(const Row& row) {
  if (row.rule == update::kTracedRule) return TracedLoops<T>::of;
  return update_loops::Loops<T, update::Rules>::of[row.rule];
}

}  // namespace traced_loops
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
