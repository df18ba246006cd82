#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "chainrule/autograd/variable.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/update/update_table.h"

// Parameters, rules and numbers for the tests of updates.
namespace chainrule::testing {

using Setting = std::pair<const char*, double>;

// A rule of its own, with values of its own where some are given.
inline Ref<UpdateRule> rule_of(const char* algorithm, std::initializer_list<Setting> own = {}) {
  const Algorithm& found = find_algorithm(algorithm);
  auto values = make_ref<Hyperparameter>(default_hyperparameter(found), &found);
  for (const auto& [name, value] : own) values->set(intern(name), Value::real(value));
  auto rule = make_ref<UpdateRule>(&found, values);
  rule->begin();
  return rule;
}

inline Array array_of(const std::vector<double>& values, Dtype dtype) {
  Array wide({static_cast<std::int64_t>(values.size())}, Dtype::float64);
  for (std::size_t i = 0; i < values.size(); ++i) wide.data<double>()[i] = values[i];
  return as_dtype(wide, dtype);
}

inline std::vector<double> values_of(const Array& array) {
  const Array wide = as_contiguous(as_dtype(array, Dtype::float64));
  return {wide.data<double>(), wide.data<double>() + wide.size()};
}

// Numbers without a pattern, between -1 and 1, the same each time.
inline std::vector<double> noise(std::int64_t count, std::uint64_t seed) {
  std::vector<double> out;
  std::uint64_t x = seed * 2654435761u + 88172645463325252u;
  for (std::int64_t i = 0; i < count; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    out.push_back(static_cast<double>(x >> 11) / 4503599627370496.0 - 1.0);
  }
  return out;
}

inline Ref<VariableImpl> parameter(const std::vector<double>& values,
                                   const std::vector<double>& grad,
                                   Dtype dtype = Dtype::float32) {
  auto out = make_ref<VariableImpl>(array_of(values, dtype), true);
  if (!grad.empty()) out->set_grad(Variable(array_of(grad, dtype)));
  return out;
}

}  // namespace chainrule::testing
