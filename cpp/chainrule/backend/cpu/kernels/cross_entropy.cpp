#include "chainrule/backend/cpu/kernels/axis.h"
#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/core/dtype.h"

// Softmax cross entropy against labels, accuracy, and the labels both read.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

// Copies labels into 32 bits and checks them, so that no later kernel reads past its scores.
template <class L>
LabelsResult check_labels(const LabelsPlan& plan, Int begin, Int end) {
  const L* labels = static_cast<const L*>(plan.labels);
  Int valid = 0;
  Int wrong = 0;
  for (Int i = begin; i < end; ++i) {
    const Int label = static_cast<Int>(labels[i]);
    const bool ignored = plan.may_ignore && label == plan.ignore_label;
    const bool inside = label >= 0 && label < plan.classes;
    plan.checked[i] = ignored  ? kIgnoredLabel
                      : inside ? static_cast<std::int32_t>(label)
                               : kWrongLabel;
    valid += !ignored;
    wrong += !ignored && !inside;
  }
  LabelsResult result{valid, -1};
  for (Int i = begin; wrong > 0; ++i) {
    if (plan.checked[i] != kWrongLabel) continue;
    result.wrong = i;
    break;
  }
  return result;
}

template <class T>
CR_INLINE T weight_of(const CrossEntropyPlan& plan, std::int32_t label) {
  return plan.weights ? static_cast<const T*>(plan.weights)[label] : T(1);
}

// -w log softmax(x)[label], of one position.
template <class T>
CR_INLINE T
loss_of(const CrossEntropyPlan& plan, std::int32_t label, const T* x, Int stride, T most, T sum) {
  if (label < 0) return T(0);
  return weight_of<T>(plan, label) * (math::log(sum) - (x[label * stride] - most));
}

template <class T>
void cross_entropy(const CrossEntropyPlan& plan, Int begin, Int end) {
  const AxisPlan& axis = plan.axis;
  const Int n = axis.length;
  T* const stats = static_cast<T*>(plan.stats);
  T* const losses = static_cast<T*>(plan.losses);
  for (Int unit = begin; unit < end; ++unit) {
    const Columns at = columns_of(axis, unit);
    const T* x = static_cast<const T*>(plan.x) + at.outer * n * axis.inner + at.first;
    T most[kColumns];
    T sum[kColumns];
    if (axis.inner == 1) {
      most[0] = line_max(x, n);
      sum[0] = line_exp_sum<false, T>(x, n, most[0], nullptr);
    } else {
      columns_max(x, n, axis.inner, at.width, most);
      columns_exp_sum<false, T>(x, n, axis.inner, at.width, most, sum, nullptr);
    }
    const Int position = at.outer * axis.inner + at.first;
    double total = 0;
    for (Int j = 0; j < at.width; ++j) {
      const T loss = loss_of(plan, plan.labels[position + j], x + j, axis.inner, most[j], sum[j]);
      total += static_cast<double>(loss);
      if (losses) losses[position + j] = loss;
      stats[2 * (position + j)] = most[j];
      stats[2 * (position + j) + 1] = T(1) / sum[j];
    }
    if (plan.partials) plan.partials[unit] = total;
  }
}

// scale g w (softmax(x) - one at the label); 0 where the label is ignored.
template <class T>
void cross_entropy_grad(const CrossEntropyPlan& plan, Int begin, Int end) {
  const AxisPlan& axis = plan.axis;
  const Int n = axis.length;
  const T* const stats = static_cast<const T*>(plan.stats);
  const T* const g = static_cast<const T*>(plan.g);
  const T scale = static_cast<T>(plan.scale);
  for (Int unit = begin; unit < end; ++unit) {
    const Columns at = columns_of(axis, unit);
    const Int offset = at.outer * n * axis.inner + at.first;
    const T* x = static_cast<const T*>(plan.x) + offset;
    T* gx = static_cast<T*>(plan.gx) + offset;
    const Int position = at.outer * axis.inner + at.first;
    T most[kColumns];
    T norm[kColumns];
    T factor[kColumns];
    for (Int j = 0; j < at.width; ++j) {
      const std::int32_t label = plan.labels[position + j];
      factor[j] =
          label < 0 ? T(0) : scale * weight_of<T>(plan, label) * g[(position + j) * plan.g_step];
      most[j] = stats[2 * (position + j)];
      norm[j] = stats[2 * (position + j) + 1];
    }
    if (axis.inner == 1) {
      if (plan.labels[position] < 0) {
        for (Int c = 0; c < n; ++c) gx[c] = T(0);
        continue;
      }
      line_exp_sum<true>(x, n, most[0], gx);
      const T scaled = norm[0] * factor[0];
      for (Int c = 0; c < n; ++c) gx[c] *= scaled;
    } else {
      for (Int c = 0; c < n; ++c) {
#pragma GCC ivdep
        for (Int j = 0; j < at.width; ++j) {
          const T p = math::exp(x[c * axis.inner + j] - most[j]) * norm[j];
          gx[c * axis.inner + j] = factor[j] == T(0) ? T(0) : p * factor[j];
        }
      }
    }
    for (Int j = 0; j < at.width; ++j) {
      const std::int32_t label = plan.labels[position + j];
      if (label >= 0) gx[label * axis.inner + j] -= factor[j];
    }
  }
}

template <class T>
void spread_labels(const SpreadLabelsPlan& plan) {
  const AxisPlan& axis = plan.axis;
  for (Int outer = 0; outer < axis.outer; ++outer) {
    T* ones = static_cast<T*>(plan.ones) + outer * axis.length * axis.inner;
    for (Int j = 0; j < axis.inner; ++j) {
      const Int position = outer * axis.inner + j;
      const std::int32_t label = plan.labels[position];
      T weight = T(0);
      if (label >= 0) {
        ones[label * axis.inner + j] = T(1);
        weight = static_cast<T>(plan.scale);
        if (plan.class_weights) weight *= static_cast<const T*>(plan.class_weights)[label];
      }
      static_cast<T*>(plan.weights)[position] = weight;
    }
  }
}

// partials = how many positions have their greatest score at the label; the first of equals
// counts, and NaN counts as greatest, as in numpy.argmax.
template <class T>
void count_correct(const CrossEntropyPlan& plan, Int begin, Int end) {
  const AxisPlan& axis = plan.axis;
  for (Int unit = begin; unit < end; ++unit) {
    const Columns at = columns_of(axis, unit);
    const T* x = static_cast<const T*>(plan.x) + at.outer * axis.length * axis.inner + at.first;
    T best[kColumns];
    std::int32_t where[kColumns];
    for (Int j = 0; j < at.width; ++j) {
      best[j] = x[j];
      where[j] = 0;
    }
    for (Int c = 1; c < axis.length; ++c) {
      x += axis.inner;
      for (Int j = 0; j < at.width; ++j) {
        const bool better = x[j] > best[j] || (x[j] != x[j] && best[j] == best[j]);
        best[j] = better ? x[j] : best[j];
        where[j] = better ? static_cast<std::int32_t>(c) : where[j];
      }
    }
    const std::int32_t* labels = plan.labels + at.outer * axis.inner + at.first;
    Int correct = 0;
    for (Int j = 0; j < at.width; ++j) correct += where[j] == labels[j];
    plan.partials[unit] = static_cast<double>(correct);
  }
}

template <class T>
void add_type(KernelRegistrar add) {
  const int column = static_cast<int>(dtype_of<T>);
  add("softmax_cross_entropy", column, reinterpret_cast<void*>(cross_entropy<T>));
  add("softmax_cross_entropy.grad", column, reinterpret_cast<void*>(cross_entropy_grad<T>));
  add("spread_labels", column, reinterpret_cast<void*>(spread_labels<T>));
  add("accuracy", column, reinterpret_cast<void*>(count_correct<T>));
}

template <class... Ls>
void add_labels(KernelRegistrar add) {
  (add("check_labels", static_cast<int>(dtype_of<Ls>), reinterpret_cast<void*>(check_labels<Ls>)),
   ...);
}

}  // namespace

void register_cross_entropy(KernelRegistrar add) {
  if constexpr (kIsBaseline) {
    add_labels<std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t>(add);
  }
  add_type<float>(add);
  add_type<double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
