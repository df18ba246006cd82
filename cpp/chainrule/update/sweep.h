#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/array.h"
#include "chainrule/update/plan.h"

namespace chainrule {

// Cuts a row into chunks.
CHAINRULE_API void append_chunks(std::vector<update::Chunk>& chunks,
                                 std::vector<std::int64_t>& starts,
                                 std::int32_t row,
                                 std::int64_t size);

// Rows of one device that run by themselves: gradients' programs, and the stages on the way to a
// direction. The bits of a row do not depend on the others.
class CHAINRULE_API Sweep {
 public:
  explicit Sweep(Device device) : device_(device) {}

  void add(const update::Row& row);
  // Element-wise: out = stage(x, states), where `out` is contiguous and of the type computed in,
  // and the others are contiguous.
  void add_stage(std::int16_t stage,
                 std::initializer_list<double> coefs,
                 const Array& out,
                 const Array& x,
                 std::initializer_list<const Array*> states = {});
  // Runs the rows and forgets them.
  void run();
  // What the rows measure, first sums only; the rows stay.
  std::vector<double> measure() const;
  std::vector<update::Row>& rows() { return rows_; }

 private:
  Device device_;
  std::vector<update::Row> rows_;
};

// Sums of squares, each taken in double and in an order of its own.
CHAINRULE_API std::vector<double> sums_of_squares(Device device,
                                                  const std::vector<update::Row>& rows);
// A row of which only sums are wanted: `size` elements at `data`.
CHAINRULE_API update::Row row_of(const void* data, Dtype dtype, std::int64_t size);

}  // namespace chainrule
