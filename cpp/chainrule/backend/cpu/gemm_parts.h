#pragma once

#include <algorithm>
#include <cstdint>

#include "chainrule/backend/matrix.h"
#include "chainrule/backend/parallel.h"
#include "chainrule/core/dtype.h"
#include "chainrule/core/memory.h"

// What the products of all types share: how a plan is transposed, taken out of a batch and cut.
namespace chainrule::cpu {

// Multiply-adds up to which one thread is quickest, measured.
inline constexpr std::int64_t kSerial = std::int64_t{1} << 18;

class Scratch {
 public:
  explicit Scratch(std::int64_t bytes) : bytes_(bytes), block_(cpu_block_allocate(bytes)) {}
  ~Scratch() { cpu_block_release(block_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  char* at(std::int64_t offset) const { return static_cast<char*>(block_) + offset; }

 private:
  std::int64_t bytes_;
  void* block_;
};

// Product i of a batch.
inline GemmPlan product_of(const GemmPlan& batch, Dtype dtype, std::int64_t i) {
  GemmPlan one = batch;
  std::int64_t rest = i;
  std::int64_t offsets[3] = {};
  for (int d = batch.batch_ndim; d-- > 0;) {
    const std::int64_t index = d > 0 ? rest % batch.batch_shape[d] : rest;
    if (d > 0) rest /= batch.batch_shape[d];
    for (int k = 0; k < 3; ++k) offsets[k] += index * batch.batch_strides[k][d];
  }
  one.a.data = batch.a.data + offsets[0] * item_size(dtype);
  one.b.data = batch.b.data + offsets[1] * item_size(dtype);
  one.c.data = batch.c.data + offsets[2] * item_size(dtype);
  return one;
}

inline constexpr std::int64_t kPartRows = 384;

// Calls make()(part) for parts of the products, of at most kPartRows and part_cols, which are cut
// in the same places for any number of threads; one thread works on each, with what it made.
template <class Make>
void for_parts(const GemmPlan& batch,
               Dtype dtype,
               std::int64_t count,
               std::int64_t part_cols,
               const Make& make) {
  const std::int64_t rows = (batch.c.rows + kPartRows - 1) / kPartRows;
  const std::int64_t cols = (batch.c.cols + part_cols - 1) / part_cols;
  const std::int64_t each = std::max<std::int64_t>(
      1, std::min(batch.c.rows, kPartRows) * std::min(batch.c.cols, part_cols) * batch.a.cols);
  const auto move = [&](Matrix& x, std::int64_t row, std::int64_t col) {
    x.data += (row * x.row_stride + col * x.col_stride) * item_size(dtype);
  };
  parallel_for(
      count * rows * cols, std::max<std::int64_t>(1, kSerial / each),
      [&](std::int64_t begin, std::int64_t end) {
        auto multiply = make();
        for (std::int64_t i = begin; i < end; ++i) {
          GemmPlan part = product_of(batch, dtype, i / (rows * cols));
          const std::int64_t row = i / cols % rows * kPartRows;
          const std::int64_t col = i % cols * part_cols;
          move(part.a, row, 0);
          move(part.b, 0, col);
          move(part.c, row, col);
          if (part.bias.data) move(part.bias, row, col);
          part.a.rows = part.c.rows = part.bias.rows = std::min(kPartRows, batch.c.rows - row);
          part.b.cols = part.c.cols = part.bias.cols = std::min(part_cols, batch.c.cols - col);
          multiply(part);
        }
      });
}

}  // namespace chainrule::cpu
