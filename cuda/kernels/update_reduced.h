#pragma once

#include <cstdint>

#include "chainrule/core/dtype.h"
#include "chainrule/update/plan.h"

// Rows that keep something in fewer bits than they are computed in (update/reduced.h) have kernels
// of their own.
namespace chainrule::cuda {

// `order[b]` is block b's chunk; `out` has a place for each chunk.
using UpdateKernel = void (*)(const update::Row* rows,
                              const update::Chunk* chunks,
                              const std::int32_t* order,
                              double* out);

struct RuleKernels {
  UpdateKernel update[2];  // without and with statistics
  UpdateKernel measure;
};

// Of a rule's number, or kTracedRule; for rows computed on in double or in float.
RuleKernels reduced_kernels(std::int16_t rule, bool wide);

// Whether random bits, or the scale of a group, take part in what a row stores.
inline bool is_reduced(const update::Row& row) {
  if (row.rule == update::kNoRule) return false;
  const auto is = [](std::uint8_t dtype, Dtype wanted) {
    return dtype == static_cast<std::uint8_t>(wanted);
  };
  const bool half = is(row.param_dtype, Dtype::float16) || is(row.param_dtype, Dtype::bfloat16);
  const bool drawn = row.stochastic_states && is(row.state_dtype, Dtype::bfloat16);
  const bool states = row.state_count > 0 && (drawn || is(row.state_dtype, Dtype::int8));
  return states || (row.stochastic && half);
}

}  // namespace chainrule::cuda
