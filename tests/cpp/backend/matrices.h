#pragma once

#include <random>
#include <utility>

#include "chainrule/backend/elementwise.h"

// Matrices for tests of products.
namespace chainrule::testing {

// Small whole numbers, exact in every dtype, so that results can be compared for equality.
inline Array random(const Shape& shape, Dtype dtype, std::mt19937& engine) {
  Array out(shape, Dtype::float64);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    out.data<double>()[i] = static_cast<double>(engine() % 7) - 3;
  }
  return as_dtype(out, dtype);
}

// A matrix (or a stack of them) with rows and columns stored in any order and direction.
inline Array random_layout(const Shape& shape, Dtype dtype, std::mt19937& engine) {
  Shape stored = shape;
  const int n = shape.size();
  const bool swap = engine() % 2;
  if (swap) std::swap(stored[n - 1], stored[n - 2]);
  const bool spread = engine() % 4 == 0;
  if (spread) stored[n - 1] *= 2;
  Array x = random(stored, dtype, engine);
  Strides strides = x.strides();
  Shape visible = stored;
  std::int64_t offset = 0;
  if (spread) {
    strides[n - 1] *= 2;
    visible[n - 1] /= 2;
  }
  if (engine() % 4 == 0 && visible[n - 2] > 0) {
    offset = strides[n - 2] * (visible[n - 2] - 1);
    strides[n - 2] = -strides[n - 2];
  }
  x = x.view(visible, strides, offset);
  if (!swap) return x;
  Axes axes;
  for (int i = 0; i < n; ++i) axes.push_back(i);
  std::swap(axes[n - 1], axes[n - 2]);
  return x.transposed(axes);
}

}  // namespace chainrule::testing
