#pragma once

#include <initializer_list>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/backend/elementwise.h"

namespace chainrule::testing {

inline Array array(std::initializer_list<double> values, Dtype dtype = Dtype::float64) {
  Array out({static_cast<std::int64_t>(values.size())}, Dtype::float64);
  double* p = out.data<double>();
  for (double value : values) *p++ = value;
  return as_dtype(out, dtype);
}

inline Variable leaf(std::initializer_list<double> values) { return Variable(array(values), true); }

// The elements in row-major order, as doubles.
inline std::vector<double> values(const Array& x) {
  const Array wide = as_contiguous(as_dtype(x, Dtype::float64));
  return {wide.data<double>(), wide.data<double>() + wide.size()};
}
inline std::vector<double> values(const Variable& x) { return values(x.array()); }
inline std::vector<double> grad_of(const Variable& x) { return values(x->grad()); }

}  // namespace chainrule::testing
