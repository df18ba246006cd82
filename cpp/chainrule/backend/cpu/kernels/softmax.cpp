#include "chainrule/backend/cpu/kernels/axis.h"
#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/core/dtype.h"

namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

// Calls line(offset) for every line of the plan's units, or columns(offset, width) where the
// axis is not the innermost one. Offsets count elements.
template <class Line, class Block>
CR_INLINE void for_units(const AxisPlan& axis,
                         Int begin,
                         Int end,
                         const Line& line,
                         const Block& block) {
  for (Int unit = begin; unit < end; ++unit) {
    if (axis.inner == 1) {
      line(unit * axis.length);
    } else {
      const Columns at = columns_of(axis, unit);
      block(at.outer * axis.length * axis.inner + at.first, at.width);
    }
  }
}

template <class T>
void softmax(const SoftmaxPlan& plan, Int begin, Int end) {
  const Int n = plan.axis.length;
  const Int stride = plan.axis.inner;
  for_units(
      plan.axis, begin, end,
      [&](Int offset) {
        const T* x = static_cast<const T*>(plan.x) + offset;
        T* y = static_cast<T*>(plan.y) + offset;
        const T scale = T(1) / line_exp_sum<true>(x, n, line_max(x, n), y);
        for (Int c = 0; c < n; ++c) y[c] *= scale;
      },
      [&](Int offset, Int width) {
        const T* x = static_cast<const T*>(plan.x) + offset;
        T* y = static_cast<T*>(plan.y) + offset;
        T most[kColumns];
        T sum[kColumns];
        columns_max(x, n, stride, width, most);
        columns_exp_sum<true>(x, n, stride, width, most, sum, y);
        for (Int j = 0; j < width; ++j) sum[j] = T(1) / sum[j];
        for (Int c = 0; c < n; ++c, y += stride) {
          for (Int j = 0; j < width; ++j) y[j] *= sum[j];
        }
      });
}

template <class T>
void log_softmax(const SoftmaxPlan& plan, Int begin, Int end) {
  const Int n = plan.axis.length;
  const Int stride = plan.axis.inner;
  for_units(
      plan.axis, begin, end,
      [&](Int offset) {
        const T* x = static_cast<const T*>(plan.x) + offset;
        T* y = static_cast<T*>(plan.y) + offset;
        const T most = line_max(x, n);
        const T logarithm = math::log(line_exp_sum<false>(x, n, most, y));
#pragma GCC ivdep
        for (Int c = 0; c < n; ++c) y[c] = (x[c] - most) - logarithm;
      },
      [&](Int offset, Int width) {
        const T* x = static_cast<const T*>(plan.x) + offset;
        T* y = static_cast<T*>(plan.y) + offset;
        T most[kColumns];
        T sum[kColumns];
        columns_max(x, n, stride, width, most);
        columns_exp_sum<false>(x, n, stride, width, most, sum, y);
        for (Int j = 0; j < width; ++j) sum[j] = math::log(sum[j]);
        for (Int c = 0; c < n; ++c, x += stride, y += stride) {
#pragma GCC ivdep
          for (Int j = 0; j < width; ++j) y[j] = (x[j] - most[j]) - sum[j];
        }
      });
}

// What the two gradients add up along the axis, and what they make of the sum s:
// y (g - s) with s the sum of g y, and g - exp(y) s with s the sum of g.
template <bool Log, class T>
CR_INLINE T term(T y, T g) {
  return Log ? g : g * y;
}
template <bool Log, class T>
CR_INLINE T gradient(T y, T g, T s) {
  if constexpr (Log) return g - math::exp(y) * s;
  return y * (g - s);
}

template <bool Log, class T>
void softmax_grad(const SoftmaxPlan& plan, Int begin, Int end) {
  const Int n = plan.axis.length;
  const Int stride = plan.axis.inner;
  for_units(
      plan.axis, begin, end,
      [&](Int offset) {
        const T* y = static_cast<const T*>(plan.x) + offset;
        const T* g = static_cast<const T*>(plan.g) + offset;
        T* gx = static_cast<T*>(plan.y) + offset;
        const T sum = sum_lanes<T>(n, [&](Int c) { return term<Log>(y[c], g[c]); });
#pragma GCC ivdep
        for (Int c = 0; c < n; ++c) gx[c] = gradient<Log>(y[c], g[c], sum);
      },
      [&](Int offset, Int width) {
        const T* y = static_cast<const T*>(plan.x) + offset;
        const T* g = static_cast<const T*>(plan.g) + offset;
        T* gx = static_cast<T*>(plan.y) + offset;
        T sum[kColumns] = {};
        for (Int c = 0; c < n; ++c) {
          for (Int j = 0; j < width; ++j) {
            sum[j] += term<Log>(y[c * stride + j], g[c * stride + j]);
          }
        }
        for (Int c = 0; c < n; ++c, y += stride, g += stride, gx += stride) {
#pragma GCC ivdep
          for (Int j = 0; j < width; ++j) gx[j] = gradient<Log>(y[j], g[j], sum[j]);
        }
      });
}

template <class T>
void add_type(KernelRegistrar add) {
  const int column = static_cast<int>(dtype_of<T>);
  add("softmax", column, reinterpret_cast<void*>(softmax<T>));
  add("log_softmax", column, reinterpret_cast<void*>(log_softmax<T>));
  add("softmax.grad", column, reinterpret_cast<void*>(softmax_grad<false, T>));
  add("log_softmax.grad", column, reinterpret_cast<void*>(softmax_grad<true, T>));
}

}  // namespace

void register_softmax(KernelRegistrar add) {
  add_type<float>(add);
  add_type<double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
