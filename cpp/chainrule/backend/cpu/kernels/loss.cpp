#include "chainrule/backend/cpu/kernels/axis.h"
#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/core/dtype.h"

// Losses of elements that come in pairs.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

// Each: what one pair loses, and the derivative by x.
struct SigmoidCrossEntropy {
  template <class T>
  static CR_INLINE T loss(T x, std::int32_t t) {
    const T positive = x >= T(0) ? T(1) : T(0);
    const T value = x * (positive - T(t)) + math::log1p(math::exp(-math::abs(x)));
    return t < 0 ? T(0) : value;
  }
  template <class T>
  static CR_INLINE T derivative(T x, std::int32_t t) {
    return t < 0 ? T(0) : math::sigmoid(x) - T(t);
  }
};

struct SquaredError {
  template <class T>
  static CR_INLINE T loss(T x, T t) {
    return (x - t) * (x - t);
  }
  template <class T>
  static CR_INLINE T derivative(T x, T t) {
    return T(2) * (x - t);
  }
};

template <class Loss, class T, class Target>
void forward(const PairLossPlan& plan, Int begin, Int end) {
  for (Int unit = begin; unit < end; ++unit) {
    const Int first = unit * PairLossPlan::kChunk;
    const Int left = plan.size - first;
    const Int n = left < PairLossPlan::kChunk ? left : PairLossPlan::kChunk;
    const T* x = static_cast<const T*>(plan.x) + first;
    const Target* t = static_cast<const Target*>(plan.t) + first;
    T chunk[PairLossPlan::kChunk];
    T* losses = plan.losses ? static_cast<T*>(plan.losses) + first : chunk;
#pragma GCC ivdep
    for (Int i = 0; i < n; ++i) losses[i] = Loss::loss(x[i], t[i]);
    if (!plan.partials) continue;
    plan.partials[unit] = static_cast<double>(sum_lanes<T>(n, [&](Int i) { return losses[i]; }));
  }
}

template <class Loss, class T, class Target>
void backward(const PairLossPlan& plan, Int begin, Int end) {
  const Int first = begin * PairLossPlan::kChunk;
  const Int last = end * PairLossPlan::kChunk < plan.size ? end * PairLossPlan::kChunk : plan.size;
  const T* const x = static_cast<const T*>(plan.x);
  const Target* const t = static_cast<const Target*>(plan.t);
  const T* const g = static_cast<const T*>(plan.g);
  T* const gx = static_cast<T*>(plan.gx);
  if (plan.g_step == 0) {
    const T factor = static_cast<T>(plan.scale) * g[0];
#pragma GCC ivdep
    for (Int i = first; i < last; ++i) gx[i] = factor * Loss::derivative(x[i], t[i]);
  } else {
#pragma GCC ivdep
    for (Int i = first; i < last; ++i) gx[i] = g[i] * Loss::derivative(x[i], t[i]);
  }
}

// The one number that the partial sums of a loss come to.
template <class T>
void scaled_sum(const double* partials, Int count, double scale, void* out) {
  double sum = 0;
  for (Int i = 0; i < count; ++i) sum += partials[i];
  store<T>(static_cast<char*>(out), static_cast<Compute<T>>(sum * scale));
}

template <class T>
void add_type(KernelRegistrar add) {
  const int column = static_cast<int>(dtype_of<T>);
  const auto put = [&](const char* name, PairLossFunction* function) {
    add(name, column, reinterpret_cast<void*>(function));
  };
  put("sigmoid_cross_entropy", forward<SigmoidCrossEntropy, T, std::int32_t>);
  put("sigmoid_cross_entropy.grad", backward<SigmoidCrossEntropy, T, std::int32_t>);
  put("squared_error", forward<SquaredError, T, T>);
  put("squared_error.grad", backward<SquaredError, T, T>);
}

template <class... Ts>
void add_sums(KernelRegistrar add) {
  (add("scaled_sum", static_cast<int>(dtype_of<Ts>), reinterpret_cast<void*>(scaled_sum<Ts>)), ...);
}

}  // namespace

void register_loss(KernelRegistrar add) {
  add_type<float>(add);
  add_type<double>(add);
  if constexpr (kIsBaseline) add_sums<Float16, BFloat16, float, double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
