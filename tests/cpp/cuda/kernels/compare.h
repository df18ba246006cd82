#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../../support.h"
#include "../device_test.h"

// Runs an elementwise kernel on the CPU and on the device, over the same data in many layouts.
namespace chainrule::testing {

// How an operand lies in its memory: `base` elements, of which a view is taken.
struct Layout {
  Shape base;
  Shape shape;
  Axes steps;  // in elements, per dimension
  std::int64_t offset = 0;

  Array view(const Array& memory) const {
    Strides strides;
    for (std::int64_t step : steps) strides.push_back(step * item_size(memory.dtype()));
    return memory.view(shape, strides, offset * item_size(memory.dtype()));
  }
};

// Layouts of the output, and of the inputs in turn.
struct Case {
  const char* name;
  Layout out;
  std::vector<Layout> inputs;
};

inline std::vector<Case> cases() {
  const auto flat = [](std::int64_t n) { return Layout{{n}, {n}, {1}}; };
  const auto shifted = [](std::int64_t n) { return Layout{{n + 1}, {n}, {1}, 1}; };
  const auto scalar = [](std::int64_t n) { return Layout{{1}, {n}, {0}}; };
  const Layout rows{{7, 9}, {7, 9}, {9, 1}};
  const Layout transposed{{9, 7}, {7, 9}, {1, 7}};
  const Layout column{{7}, {7, 9}, {1, 0}};
  const Layout row{{9}, {7, 9}, {0, 1}};
  const Layout backwards{{7, 9}, {7, 9}, {-9, -1}, 62};
  const Layout cube{{4, 5, 12}, {4, 5, 6}, {60, 12, 2}};
  const Layout cube_turned{{6, 4, 5}, {4, 5, 6}, {5, 1, 20}};
  return {
      {"one element", flat(1), {flat(1), flat(1), flat(1)}},
      {"flat", flat(1003), {flat(1003), flat(1003), flat(1003)}},
      {"flat, not aligned", shifted(301), {flat(301), shifted(301), flat(301)}},
      {"first repeated", flat(515), {scalar(515), flat(515), flat(515)}},
      {"second repeated", flat(515), {flat(515), scalar(515), flat(515)}},
      {"all but the first repeated", flat(70), {flat(70), scalar(70), scalar(70)}},
      {"transposed", rows, {transposed, rows, transposed}},
      {"into transposed", transposed, {rows, column, row}},
      {"backwards", rows, {backwards, row, column}},
      {"three dimensions with gaps", cube, {cube_turned, cube, cube_turned}},
  };
}

// A wide range, special values among them where the dtype has them. Unsigned where `small`.
inline Array random_base(const Shape& shape, Dtype dtype, std::mt19937& engine) {
  Array wide(shape, Dtype::float64);
  std::normal_distribution<double> normal(0, 2);
  std::uniform_int_distribution<int> kind(0, 40);
  const bool floating = is_floating(dtype);
  for (std::int64_t i = 0; i < wide.size(); ++i) {
    double value = normal(engine);
    if (!floating) value = std::round(value * 2);
    if (dtype == Dtype::uint8) value = std::abs(value);
    if (floating) {
      switch (kind(engine)) {
        case 0:
          value = 0;
          break;
        case 1:
          value = -0.0;
          break;
        case 2:
          value = INFINITY;
          break;
        case 3:
          value = -INFINITY;
          break;
        case 4:
          value = NAN;
          break;
        case 5:
          value *= 1e3;
          break;
        default:
          break;
      }
    }
    wide.data<double>()[i] = dtype == Dtype::bool_ ? (value > 0) : value;
  }
  return as_dtype(wide, dtype);
}

inline void run(const ElementwiseKernel& kernel,
                Dtype dtype,
                const Array& out,
                const std::vector<Array>& in,
                const double* params) {
  switch (in.size()) {
    case 0:
      return run_elementwise(kernel, dtype, out, {}, params);
    case 1:
      return run_elementwise(kernel, dtype, out, {&in[0]}, params);
    case 2:
      return run_elementwise(kernel, dtype, out, {&in[0], &in[1]}, params);
    default:
      return run_elementwise(kernel, dtype, out, {&in[0], &in[1], &in[2]}, params);
  }
}

struct Expectation {
  Dtype column;
  Dtype out;
  std::vector<Dtype> inputs;
  double tolerance = 0;  // relative; 0 asks for the same bits
};

// One unit in the last place of what the dtype holds, and some.
inline double rounding(Dtype dtype) {
  switch (item_size(dtype)) {
    case 2:
      return dtype == Dtype::float16 ? 0x1p-10 : 0x1p-7;
    case 4:
      return 1e-6;
    default:
      return 1e-14;
  }
}

inline void expect_same(const char* name, const Expectation& expectation) {
  const auto* kernel = static_cast<const ElementwiseKernel*>(KernelBase::find(name));
  ASSERT_NE(kernel, nullptr) << name;
  ASSERT_TRUE(kernel->has(DeviceKind::cuda, static_cast<int>(expectation.column)))
      << name << " " << dtype_name(expectation.column);
  const double params[] = {0.5, 1.5};
  std::mt19937 engine(1);
  for (const Case& layout : cases()) {
    SCOPED_TRACE(cat(name, " ", expectation.column, ", ", layout.name));
    const Array before = random_base(layout.out.base, expectation.out, engine);
    const Array out = copied(before);
    const Array out_there = to_device(before, kCuda);
    std::vector<Array> in;
    std::vector<Array> in_there;
    for (std::size_t k = 0; k < expectation.inputs.size(); ++k) {
      const Array base = random_base(layout.inputs[k].base, expectation.inputs[k], engine);
      in.push_back(layout.inputs[k].view(base));
      in_there.push_back(layout.inputs[k].view(to_device(base, kCuda)));
    }
    run(*kernel, expectation.column, layout.out.view(out), in, params);
    run(*kernel, expectation.column, layout.out.view(out_there), in_there, params);
    // All of the memory, gaps included.
    const std::vector<double> here = values(out);
    const std::vector<double> there = values(to_device(out_there, {}));
    int shown = 0;
    for (std::size_t i = 0; i < here.size() && shown < 3; ++i) {
      const double a = here[i];
      const double b = there[i];
      const double room = expectation.tolerance * std::max({1.0, std::abs(a), std::abs(b)});
      const bool same = a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= room;
      if (!same) {
        ADD_FAILURE() << "element " << i << ": cpu " << a << ", cuda " << b;
        ++shown;
      }
    }
    if (shown) return;
  }
}

}  // namespace chainrule::testing
