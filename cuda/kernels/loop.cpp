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

bool make_vector_range(const ElementwisePlan& piece,
                       std::int64_t begin,
                       std::int64_t end,
                       const int* item_sizes,
                       int width,
                       VectorRange& range) {
  if (piece.ndim != 1) return false;
  for (int k = 0; k < piece.operand_count; ++k) {
    const std::int64_t stride = piece.strides[k][0];
    range.repeated[k] = k > 0 && stride == 0;
    if (!range.repeated[k] && stride != item_sizes[k]) return false;
    range.data[k] = piece.data[k] + begin * stride;
    const auto address = reinterpret_cast<std::uintptr_t>(range.data[k]);
    if (!range.repeated[k] && address % static_cast<unsigned>(width * item_sizes[k]) != 0) {
      return false;
    }
  }
  range.size = static_cast<std::uint32_t>(end - begin);
  return true;
}

StridedRange make_strided_range(const ElementwisePlan& piece,
                                std::int64_t begin,
                                std::int64_t end) {
  StridedRange range{};
  range.ndim = piece.ndim;
  range.begin = static_cast<std::uint32_t>(begin);
  range.end = static_cast<std::uint32_t>(end);
  for (int d = 0; d < piece.ndim; ++d) {
    range.shape[d] = FastDivision(static_cast<std::uint32_t>(piece.shape[d]));
  }
  for (int k = 0; k < piece.operand_count; ++k) {
    range.data[k] = piece.data[k];
    for (int d = 0; d < piece.ndim; ++d) range.strides[k][d] = piece.strides[k][d];
  }
  return range;
}

}  // namespace chainrule::cuda
