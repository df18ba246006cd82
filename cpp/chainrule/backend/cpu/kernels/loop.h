#pragma once

#include <type_traits>

#include "chainrule/backend/plan.h"
#include "chainrule/functors/convert.h"

// The loops under every elementwise kernel of the CPU.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {

using functors::Compute;

template <class T>
CR_INLINE Compute<T> load(const char* p) {
  return static_cast<Compute<T>>(*reinterpret_cast<const T*>(p));
}
template <>
CR_INLINE bool load<bool>(const char* p) {
  return *p != 0;
}

template <class T, class V>
CR_INLINE void store(char* p, V value) {
  *reinterpret_cast<T*>(p) = static_cast<T>(value);
}

// One run of the innermost dimension. Contiguous operands, with at most one of two inputs
// being a repeated scalar, get loops of their own: the compiler vectorises those. Integers and
// booleans go without those for a scalar, which would be half of what there is to compile.
template <class Out, class A, class F>
CR_INLINE void run_inner(char* out,
                         std::int64_t so,
                         const char* a,
                         std::int64_t sa,
                         std::int64_t n,
                         const F& f) {
  if (so == sizeof(Out) && sa == sizeof(A)) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      store<Out>(out + i * static_cast<std::int64_t>(sizeof(Out)),
                 f(load<A>(a + i * static_cast<std::int64_t>(sizeof(A)))));
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) store<Out>(out + i * so, f(load<A>(a + i * sa)));
}

template <class Out, class A, class B, class F>
CR_INLINE void run_inner(char* out,
                         std::int64_t so,
                         const char* a,
                         std::int64_t sa,
                         const char* b,
                         std::int64_t sb,
                         std::int64_t n,
                         const F& f) {
  constexpr std::int64_t zo = sizeof(Out);
  constexpr std::int64_t za = sizeof(A);
  constexpr std::int64_t zb = sizeof(B);
  constexpr bool whole = std::is_integral_v<A>;
  if (so == zo && sa == za && sb == zb) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      store<Out>(out + i * zo, f(load<A>(a + i * za), load<B>(b + i * zb)));
    }
    return;
  }
  if (!whole && so == zo && sa == za && sb == 0) {
    const auto scalar = load<B>(b);
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      store<Out>(out + i * zo, f(load<A>(a + i * za), scalar));
    }
    return;
  }
  if (!whole && so == zo && sa == 0 && sb == zb) {
    const auto scalar = load<A>(a);
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      store<Out>(out + i * zo, f(scalar, load<B>(b + i * zb)));
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    store<Out>(out + i * so, f(load<A>(a + i * sa), load<B>(b + i * sb)));
  }
}

template <class Out, class A, class B, class C, class F>
CR_INLINE void run_inner(char* out,
                         std::int64_t so,
                         const char* a,
                         std::int64_t sa,
                         const char* b,
                         std::int64_t sb,
                         const char* c,
                         std::int64_t sc,
                         std::int64_t n,
                         const F& f) {
  constexpr std::int64_t zo = sizeof(Out);
  constexpr std::int64_t za = sizeof(A);
  constexpr std::int64_t zb = sizeof(B);
  constexpr std::int64_t zc = sizeof(C);
  if (so == zo && sa == za && sb == zb && sc == zc) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      store<Out>(out + i * zo, f(load<A>(a + i * za), load<B>(b + i * zb), load<C>(c + i * zc)));
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    store<Out>(out + i * so, f(load<A>(a + i * sa), load<B>(b + i * sb), load<C>(c + i * sc)));
  }
}

// Calls body(pointers, n) for each innermost run within begin..end. The call stands here once,
// because everything is inlined into it, in thousands of kernels.
template <int Operands, class Body>
CR_INLINE void walk(const ElementwisePlan& plan,
                    std::int64_t begin,
                    std::int64_t end,
                    const Body& body) {
  char* p[Operands];
  const int inner = plan.ndim - 1;
  std::int64_t index[ElementwisePlan::kMaxDims];
  index[0] = begin;
  if (inner > 0) {
    std::int64_t rest = begin;
    for (int d = inner; d >= 0; --d) {
      index[d] = rest % plan.shape[d];
      rest /= plan.shape[d];
    }
  }
  for (std::int64_t at = begin; at < end;) {
    for (int k = 0; k < Operands; ++k) {
      p[k] = plan.data[k] + index[0] * plan.strides[k][0];
      for (int d = 1; d <= inner; ++d) p[k] += index[d] * plan.strides[k][d];
    }
    std::int64_t n = plan.shape[inner] - index[inner];
    if (n > end - at) n = end - at;
    body(p, n);
    at += n;
    index[inner] = 0;
    for (int d = inner - 1; d >= 0 && ++index[d] == plan.shape[d]; --d) index[d] = 0;
  }
}

template <class Out, class A, class F>
CR_INLINE void map1(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end, const F& f) {
  const int i = plan.ndim - 1;
  walk<2>(plan, begin, end, [&](char* const* p, std::int64_t n) __attribute__((always_inline)) {
    run_inner<Out, A>(p[0], plan.strides[0][i], p[1], plan.strides[1][i], n, f);
  });
}

template <class Out, class A, class B, class F>
CR_INLINE void map2(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end, const F& f) {
  const int i = plan.ndim - 1;
  walk<3>(plan, begin, end, [&](char* const* p, std::int64_t n) __attribute__((always_inline)) {
    run_inner<Out, A, B>(p[0], plan.strides[0][i], p[1], plan.strides[1][i], p[2],
                         plan.strides[2][i], n, f);
  });
}

template <class Out, class A, class B, class C, class F>
CR_INLINE void map3(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end, const F& f) {
  const int i = plan.ndim - 1;
  walk<4>(plan, begin, end, [&](char* const* p, std::int64_t n) __attribute__((always_inline)) {
    run_inner<Out, A, B, C>(p[0], plan.strides[0][i], p[1], plan.strides[1][i], p[2],
                            plan.strides[2][i], p[3], plan.strides[3][i], n, f);
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
