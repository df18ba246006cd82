#pragma once

#include <pybind11/pybind11.h>

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

// Wraps an op for Python: other threads run while a large one computes.
template <auto function>
struct Op;

template <class R, class... Args, R (*function)(Args...)>
struct Op<function> {
  static R call(Args... args) {
    ReleaseGil gil((work_of(args) + ... + 0));
    return function(args...);
  }
};

void bind_ops(pybind11::module_& m);

}  // namespace chainrule::python
