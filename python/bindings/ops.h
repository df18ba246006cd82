#pragma once

#include <pybind11/pybind11.h>

#include <string_view>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "dims.h"
#include "gil.h"
#include "variable.h"

namespace chainrule::python {

inline std::int64_t work_of(const Variable& x) { return x.defined() ? x.size() : 0; }
template <class T>
std::int64_t work_of(const T&) {
  return 0;
}

[[noreturn]] void throw_without_data(std::string_view op, const Variable& x);

inline const Variable& require(std::string_view op, const Variable& x) {
  if (!x.array().defined()) [[unlikely]]
    throw_without_data(op, x);
  return x;
}

// "exp" for &chainrule::exp.
template <auto function>
constexpr std::string_view op_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  const auto begin = text.find("chainrule::", text.find("function = ")) + 11;
  text.remove_prefix(begin);
  return text.substr(0, text.find_first_of(";,](<"));
}

// Wraps an op for Python: other threads run while a large one computes. The first `required`
// variables must be there and have data; what follows them may be None.
template <auto function, int required = 64>
struct Op;

template <class R, class... Args, R (*function)(Args...), int required>
struct Op<function, required> {
  static R call(Args... args) {
    int position = 0;
    (check(args, position), ...);
    ReleaseGil gil((work_of(args) + ... + 0));
    return function(args...);
  }

 private:
  static void check(const Variable& x, int& position) {
    if (position++ < required || x.defined()) require(op_name<function>(), x);
  }
  static void check(const std::vector<Variable>& xs, int&) {
    for (const Variable& x : xs) require(op_name<function>(), x);
  }
  template <class T>
  static void check(const T&, int& position) {
    ++position;
  }
};

void bind_ops(pybind11::module_& m);

}  // namespace chainrule::python
