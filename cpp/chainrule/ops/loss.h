#pragma once

#include <cstdint>
#include <optional>

#include "chainrule/autograd/variable.h"

// Losses of scores against labels or other values. Labels are integers of any size; one that is
// out of range is an error, never a read out of bounds.
namespace chainrule {

enum class LossReduce { mean, none };
enum class SoftTargetLoss { cross_entropy, kl_divergence };

struct SoftmaxCrossEntropyOptions {
  bool normalize = true;              // divide by the labels not ignored, not by the batch
  std::optional<Array> class_weight;  // (classes,); leaves the divisor as it is
  std::int64_t ignore_label = -1;
  LossReduce reduce = LossReduce::mean;
  SoftTargetLoss soft_target_loss = SoftTargetLoss::cross_entropy;
};

// x (batch, classes, ...) against labels (batch, ...), or against probabilities shaped as x,
// for which only `reduce` and `soft_target_loss` matter.
CHAINRULE_API Variable softmax_cross_entropy(const Variable& x,
                                             const Array& t,
                                             const SoftmaxCrossEntropyOptions& options);
// Labels 0 and 1, shaped as x; -1 is ignored.
CHAINRULE_API Variable sigmoid_cross_entropy(const Variable& x,
                                             const Array& t,
                                             bool normalize,
                                             LossReduce reduce);
CHAINRULE_API Variable mean_squared_error(const Variable& a, const Variable& b);
// How often the greatest of y (batch, classes, ...) stands at the label (batch, ...); no gradient.
CHAINRULE_API Variable accuracy(const Variable& y,
                                const Array& t,
                                std::optional<std::int64_t> ignore_label);

}  // namespace chainrule
