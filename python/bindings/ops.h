#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/autograd/variable.h"
#include "chainrule/core/error.h"
#include "dims.h"
#include "gil.h"
#include "variable.h"

namespace chainrule::python {

inline std::int64_t work_of(const Variable& x) { return x.defined() ? x.size() : 0; }
template <class T>
std::int64_t work_of(const T&) {
  return 0;
}

// An op reads its arguments' data: None, or a parameter that waits for its shape, has none.
inline void require_data(const Variable& x) {
  if (x.array().defined()) return;
  if (!x.defined()) throw TypeError("[op] got None, expected a variable, an array or a number");
  throw Error(cat("[op] a variable has no data yet", x->name().empty() ? "" : ": " + x->name(),
                  "; a parameter gets it by initialize(shape)"));
}
template <class T>
void require_data(const T&) {}

// Wraps an op for Python: other threads run while a large one computes.
template <auto function>
struct Op;

template <class R, class... Args, R (*function)(Args...)>
struct Op<function> {
  static R call(Args... args) {
    (require_data(args), ...);
    ReleaseGil gil((work_of(args) + ... + 0));
    return function(args...);
  }
};

void bind_ops(pybind11::module_& m);

}  // namespace chainrule::python
