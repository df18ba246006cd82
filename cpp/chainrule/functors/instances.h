#pragma once

#include "chainrule/functors/activation.h"
#include "chainrule/functors/arithmetic.h"
#include "chainrule/functors/comparison.h"
#include "chainrule/functors/explog.h"

// Which functor exists for which element types: read by every device, so that a functor added to
// a list, or a type added here, is there on all of them. A visitor is a lambda of the form
// `[&]<class Op, class T>() {...}`.
namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

template <class... Ts>
struct Types {};

using Floating = Types<float, double, Float16, BFloat16>;
using Integral = Types<std::uint8_t, std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using AllTypes = Types<bool,
                       std::uint8_t,
                       std::int8_t,
                       std::int16_t,
                       std::int32_t,
                       std::int64_t,
                       Float16,
                       BFloat16,
                       float,
                       double>;

template <class... Ts, class Visit>
void for_each_type(Types<Ts...>, const Visit& visit) {
  (visit.template operator()<Ts>(), ...);
}

template <class Op, class... Ts, class Visit>
void for_each_type_of(Types<Ts...>, const Visit& visit) {
  (visit.template operator()<Op, Ts>(), ...);
}

template <class... Ops, class T, class Visit>
void for_each_pair(List<Ops...>, T types, const Visit& visit) {
  (for_each_type_of<Ops>(types, visit), ...);
}

template <class Visit>
void for_each_unary(const Visit& visit) {
  for_each_pair(Activations{}, Floating{}, visit);
  for_each_pair(ExpLog{}, Floating{}, visit);
  for_each_pair(UnaryArithmetic{}, Floating{}, visit);
  for_each_pair(UnaryArithmetic{}, Integral{}, visit);
}

// Out of T and T.
template <class Visit>
void for_each_binary(const Visit& visit) {
  for_each_pair(BinaryArithmetic{}, Floating{}, visit);
  for_each_pair(BinaryArithmetic{}, Integral{}, visit);
  for_each_pair(BinaryFloating{}, Floating{}, visit);
  for_each_pair(List<FloorDivide>{}, Floating{}, visit);
  for_each_pair(List<FloorDivide, IntegerPower>{}, Integral{}, visit);
  // Logic on booleans, as in NumPy: + and maximum are "or", * and minimum are "and".
  for_each_pair(List<Add, Multiply, Maximum, Minimum>{}, Types<bool>{}, visit);
}

// bool out of T and T.
template <class Visit>
void for_each_comparison(const Visit& visit) {
  for_each_pair(Comparisons{}, AllTypes{}, visit);
}

// `[&]<class Op, class T, int Order>()`. Halves go through float for the higher derivatives,
// which nobody waits for.
template <class... Ops, class Visit>
void for_each_derivative_of(List<Ops...>, const Visit& visit) {
  const auto visit_op = [&]<class Op>() {
    for_each_type(Floating{}, [&]<class T>() { visit.template operator()<Op, T, 1>(); });
    for_each_type(Types<float, double>{}, [&]<class T>() {
      visit.template operator()<Op, T, 2>();
      visit.template operator()<Op, T, 3>();
    });
  };
  (visit_op.template operator()<Ops>(), ...);
}

template <class Visit>
void for_each_derivative(const Visit& visit) {
  for_each_derivative_of(Activations{}, visit);
  for_each_derivative_of(ExpLog{}, visit);
  for_each_derivative_of(UnaryArithmetic{}, visit);
}

// The copy kernel that reads a type; its column is the type that is written.
template <class From>
inline constexpr const char* copy_name = nullptr;
template <>
inline constexpr const char* copy_name<bool> = "copy.from_bool";
template <>
inline constexpr const char* copy_name<std::uint8_t> = "copy.from_uint8";
template <>
inline constexpr const char* copy_name<std::int8_t> = "copy.from_int8";
template <>
inline constexpr const char* copy_name<std::int16_t> = "copy.from_int16";
template <>
inline constexpr const char* copy_name<std::int32_t> = "copy.from_int32";
template <>
inline constexpr const char* copy_name<std::int64_t> = "copy.from_int64";
template <>
inline constexpr const char* copy_name<Float16> = "copy.from_float16";
template <>
inline constexpr const char* copy_name<BFloat16> = "copy.from_bfloat16";
template <>
inline constexpr const char* copy_name<float> = "copy.from_float32";
template <>
inline constexpr const char* copy_name<double> = "copy.from_float64";

// `[&]<class From, class To>()`.
template <class Visit>
void for_each_copy(const Visit& visit) {
  for_each_type(AllTypes{}, [&]<class From>() {
    for_each_type(AllTypes{}, [&]<class To>() { visit.template operator()<From, To>(); });
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
