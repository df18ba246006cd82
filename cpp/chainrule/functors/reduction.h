#pragma once

#include "chainrule/functors/convert.h"
#include "chainrule/functors/instances.h"

// The contract of a reduction: an operation whose operands may be regrouped and reordered.
//
//   struct Name {
//     static constexpr char name[] = "name";
//     template <class T> static T identity();               // for T = float, double, int64
//     template <class T> T operator()(T a, T b) const;
//     static constexpr bool widens;   // runs of floats are collected in double
//   };
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

// What a run of elements T is computed in.
template <class T>
struct PartType {
  using type = std::int64_t;
};
template <>
struct PartType<float> {
  using type = float;
};
template <>
struct PartType<double> {
  using type = double;
};
template <class T>
using Part = typename PartType<Compute<T>>::type;

// What runs are collected in.
template <bool widens, class P>
struct WideType {
  using type = P;
};
template <>
struct WideType<true, float> {
  using type = double;
};
template <class Op, class T>
using Wide = typename WideType<Op::widens, Part<T>>::type;

struct Sum {
  static constexpr char name[] = "sum";
  static constexpr bool widens = true;
  template <class T>
  CR_INLINE static T identity() {
    return T(0);
  }
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return Add()(a, b);
  }
};

// NaN wins over everything, as in numpy.max.
struct Max {
  static constexpr char name[] = "max";
  static constexpr bool widens = false;
  template <class T>
  CR_INLINE static T identity() {
    if constexpr (math::Real<T>) {
      return -math::detail::Float<T>::infinity;
    } else {
      return static_cast<T>(std::uint64_t{1} << 63);
    }
  }
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return Maximum()(a, b);
  }
};

struct Min {
  static constexpr char name[] = "min";
  static constexpr bool widens = false;
  template <class T>
  CR_INLINE static T identity() {
    if constexpr (math::Real<T>) {
      return math::detail::Float<T>::infinity;
    } else {
      return static_cast<T>(~(std::uint64_t{1} << 63));
    }
  }
  template <class T>
  CR_INLINE T operator()(T a, T b) const {
    return Minimum()(a, b);
  }
};

// `[&]<class Op, class T>()`: what there is on every device. Other integers and bools are
// converted, or read as one of these.
template <class Visit>
void for_each_reduction(const Visit& visit) {
  for_each_pair(List<Sum, Max, Min>{}, Floating{}, visit);
  for_each_pair(List<Sum>{}, Types<std::uint8_t, std::int32_t, std::int64_t>{}, visit);
  for_each_pair(List<Max, Min>{}, Types<std::int64_t>{}, visit);
}

// The reductions that tell where, named "argmax" and "argmin".
template <class Visit>
void for_each_find(const Visit& visit) {
  for_each_pair(List<Max, Min>{}, Types<float, double, std::int64_t>{}, visit);
}
template <class Op>
inline constexpr const char* find_name = "argmax";
template <>
inline constexpr const char* find_name<Min> = "argmin";

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
