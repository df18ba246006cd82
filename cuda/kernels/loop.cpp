#include "loop.h"

namespace chainrule::cuda {

void for_each_piece(const ElementwisePlan& plan,
                    std::int64_t begin,
                    std::int64_t end,
                    std::int64_t max_piece,
                    PieceFunction function,
                    void* context) {
  if (begin >= end) return;
  if (plan.size <= max_piece) {
    function(context, plan, begin, end);
    return;
  }
  // Slices along the first dimension, as thick as may be.
  const std::int64_t inner = plan.size / plan.shape[0];
  const std::int64_t step = inner < max_piece ? max_piece / inner : 1;
  for (std::int64_t row = begin / inner; row * inner < end; row += step) {
    ElementwisePlan piece = plan;
    piece.shape[0] = plan.shape[0] - row < step ? plan.shape[0] - row : step;
    piece.size = piece.shape[0] * inner;
    for (int k = 0; k < plan.operand_count; ++k) piece.data[k] += row * plan.strides[k][0];
    const std::int64_t first = row * inner;
    const std::int64_t from = begin > first ? begin - first : 0;
    const std::int64_t to = end - first < piece.size ? end - first : piece.size;
    if (piece.shape[0] == 1 && piece.ndim > 1) {
      --piece.ndim;
      for (int d = 0; d < piece.ndim; ++d) {
        piece.shape[d] = piece.shape[d + 1];
        for (int k = 0; k < plan.operand_count; ++k) {
          piece.strides[k][d] = piece.strides[k][d + 1];
        }
      }
    }
    for_each_piece(piece, from, to, max_piece, function, context);
  }
}

bool make_range(const ElementwisePlan& piece,
                std::int64_t begin,
                std::int64_t end,
                const int* item_sizes,
                int width,
                Range& range) {
  const int last = piece.ndim - 1;
  const bool flat = last == 0;
  if (width > 1 && !flat) {
    if (piece.shape[last] % width != 0 || begin != 0 || end != piece.size) return false;
  }
  range = {};
  range.ndim = piece.ndim;
  for (int d = 0; d < last; ++d) {
    range.shape[d] = FastDivision(static_cast<std::uint32_t>(piece.shape[d]));
  }
  range.shape[last] = FastDivision(
      static_cast<std::uint32_t>(piece.shape[last] < width ? 1 : piece.shape[last] / width));
  for (int k = 0; k < piece.operand_count; ++k) {
    const std::int64_t stride = piece.strides[k][last];
    range.data[k] = piece.data[k] + (flat ? begin * stride : 0);
    range.repeated[k] = width > 1 && k > 0 && stride == 0;
    std::uintptr_t places = reinterpret_cast<std::uintptr_t>(range.data[k]);
    for (int d = 0; d < last; ++d) {
      range.strides[k][d] = piece.strides[k][d];
      places |= static_cast<std::uintptr_t>(piece.strides[k][d]);
    }
    range.strides[k][last] = stride * width;
    if (width == 1 || range.repeated[k]) continue;
    if (stride != item_sizes[k] || places % static_cast<unsigned>(width * item_sizes[k]) != 0) {
      return false;
    }
  }
  const std::int64_t first = flat ? 0 : begin;
  const std::int64_t count = end - begin;
  range.begin = static_cast<std::uint32_t>(first);
  range.end = static_cast<std::uint32_t>(first + count / width);
  range.rest = static_cast<std::uint32_t>(count % width);
  return true;
}

}  // namespace chainrule::cuda
