#pragma once

#include <cstdint>
#include <optional>

#include "chainrule/autograd/variable.h"

namespace chainrule {

enum class LossReduce { mean, none };

struct SoftmaxCrossEntropyOptions {
  bool normalize = true;
  std::optional<Array> class_weight;
  std::int64_t ignore_label = -1;
  LossReduce reduce = LossReduce::mean;
};

CHAINRULE_API Variable softmax(const Variable& x, std::int64_t axis);
CHAINRULE_API Variable log_softmax(const Variable& x, std::int64_t axis);
CHAINRULE_API Variable softmax_cross_entropy(const Variable& x,
                                             const Array& t,
                                             const SoftmaxCrossEntropyOptions& options);
// Labels 0 and 1; -1 is ignored.
CHAINRULE_API Variable sigmoid_cross_entropy(const Variable& x,
                                             const Array& t,
                                             bool normalize,
                                             LossReduce reduce);
CHAINRULE_API Variable mean_squared_error(const Variable& a, const Variable& b);
CHAINRULE_API Variable accuracy(const Variable& y,
                                const Array& t,
                                std::optional<std::int64_t> ignore_label);

}  // namespace chainrule
