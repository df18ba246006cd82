#pragma once

#include <cstdint>
#include <optional>

#include "chainrule/core/array.h"

namespace chainrule {

// Labels as loss kernels read them: int32, C-contiguous, classes or the marks of axis_plan.h.
// A copy, so that nobody can change them before the gradient is computed.
struct Labels {
  Array values;
  std::int64_t valid = 0;   // not ignored
  std::int64_t wrong = -1;  // index of the first label out of range
};
Labels read_labels(const char* op,
                   const Array& t,
                   std::int64_t classes,
                   std::optional<std::int64_t> ignore_label);
// The same, where a label out of range is an error.
Labels check_labels(const char* op,
                    const Array& t,
                    std::int64_t classes,
                    std::int64_t ignore_label);

// partials' sum times `scale`, 0-d.
Array scaled_sum(const Array& partials, double scale, Dtype dtype);

}  // namespace chainrule
