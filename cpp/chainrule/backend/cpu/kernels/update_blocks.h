#pragma once

#include "chainrule/backend/cpu/kernels/update_storage.h"

// Blocks of rows that cannot be worked on where they lie: conversion from and to what is stored,
// gradient programs step by step, in buffers of a size that the first-level cache holds.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace update_blocks {

using update::GradientOp;
using update::GradientStep;
using update::kMaxStates;
using update::Row;
using update_storage::copy_block;
using update_storage::decode_block;
using update_storage::elements;
using update_storage::encode_block;
using update_storage::is;
using update_storage::refresh_master;
using update_storage::store_block;
using update_storage::store_stochastically;

constexpr std::int64_t kBlock = 1024;
static_assert(update::kChunk % kBlock == 0 && kBlock % update::kStateBlock == 0);
static_assert(update::kStateBlock % functors::kPhiloxGroup == 0);

template <GradientOp op, class T>
CR_INLINE void apply_to(T* g, const T* p, T a, T b, std::int64_t n) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) g[i] = update::apply<op>(g[i], p[i], a, b);
}

template <class T>
void run_program(const GradientStep* steps, int count, T* g, const T* p, std::int64_t n) {
  for (const GradientStep* step = steps; step != steps + count; ++step) {
    const T a = static_cast<T>(step->a);
    const T b = static_cast<T>(step->b);
    switch (step->op) {
      case GradientOp::scale:
        apply_to<GradientOp::scale>(g, p, a, b, n);
        break;
      case GradientOp::weight_decay:
        apply_to<GradientOp::weight_decay>(g, p, a, b, n);
        break;
      case GradientOp::lasso:
        apply_to<GradientOp::lasso>(g, p, a, b, n);
        break;
      case GradientOp::clip:
        apply_to<GradientOp::clip>(g, p, a, b, n);
        break;
    }
  }
}

// The gradient of a block after `shared` and `own` steps. Memory is changed only if `write`.
template <class T>
const T* gradient(const Row& row,
                  int shared,
                  int own,
                  bool write,
                  std::int64_t at,
                  const T* p,
                  T* buffer,
                  std::int64_t n) {
  T* g = elements(row.grad_dtype, row.grad, at, buffer, n);
  if (shared + own == 0) return g;
  if (g != buffer && !write) {
    copy_block(buffer, g, n);
    g = buffer;
  }
  run_program(row.shared_steps, shared, g, p, n);
  run_program(row.own_steps, own, g, p, n);
  if (write && g == buffer) store_block(row.grad_dtype, row.grad, at, g, n);
  return g;
}

// One block of a row in type T, and room for what has to be converted.
template <class T>
struct Block {
  std::int64_t at;
  std::int64_t n;
  T* p;
  const T* g;
  T* states[kMaxStates];
  alignas(64) T p_buffer[kBlock];
  alignas(64) T g_buffer[kBlock];
  alignas(64) T before[kBlock];
  alignas(64) T state_buffer[kMaxStates][kBlock];

  // `ready`: whether the gradient is to be as the whole program leaves it; `write`: in memory too.
  void load(const Row& row, std::int64_t begin, std::int64_t count, bool ready, bool write) {
    at = begin;
    n = count;
    p = elements(row.param_dtype, row.param, at, p_buffer, n);
    if (row.half) refresh_master(row.half_dtype, row.half, at, p, n);
    const int shared = ready ? row.shared_count : 0;
    const int own = ready ? row.own_count : 0;
    g = gradient(row, shared, own, write, at, p, g_buffer, n);
  }
  void load_states(const Row& row) {
    for (int k = 0; k < row.state_count; ++k) {
      states[k] = state_buffer[k];
      if (is<std::int8_t>(row.state_dtype)) {
        decode_block(row, k, at, states[k], n);
      } else {
        states[k] = elements(row.state_dtype, row.state[k], at, state_buffer[k], n);
      }
    }
  }
  void store_states(const Row& row) {
    if (is<T>(row.state_dtype)) return;
    for (int k = 0; k < row.state_count; ++k) {
      if (is<std::int8_t>(row.state_dtype)) {
        encode_block(row, k, at, states[k], n);
      } else if (is<BFloat16>(row.state_dtype) && row.stochastic_states) {
        store_stochastically(row, k, static_cast<BFloat16*>(row.state[k]), at, states[k], n);
      } else {
        store_block(row.state_dtype, row.state[k], at, states[k], n);
      }
    }
  }
  void store_param(const Row& row) {
    if (p == p_buffer) {
      if (row.stochastic && is<BFloat16>(row.param_dtype)) {
        store_stochastically(row, -1, static_cast<BFloat16*>(row.param), at, p, n);
      } else if (row.stochastic && is<Float16>(row.param_dtype)) {
        store_stochastically(row, -1, static_cast<Float16*>(row.param), at, p, n);
      } else {
        store_block(row.param_dtype, row.param, at, p, n);
      }
    }
    if (row.half) store_block(row.half_dtype, row.half, at, p, n);
  }
};

}  // namespace update_blocks
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
