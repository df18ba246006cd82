#include "chainrule/update/state_dtype.h"

#include <algorithm>
#include <cmath>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/update/reduced.h"

namespace chainrule {
namespace {

using update::kStateBlock;

std::int64_t group_count(std::int64_t size) { return (size + kStateBlock - 1) / kStateBlock; }

template <bool square>
void decode(const StoredState& state, float* out) {
  const auto* codes = state.values.data<std::int8_t>();
  const auto* scales = state.scales.data<float>();
  for (std::int64_t i = 0; i < state.values.size(); ++i) {
    out[i] = update::decoded<square>(codes[i], scales[i / kStateBlock]);
  }
}

// To the nearest code: a draw in the middle.
template <bool square>
void encode(const float* x, const StoredState& out) {
  auto* codes = out.values.data<std::int8_t>();
  auto* scales = out.scales.data<float>();
  const std::int64_t size = out.values.size();
  for (std::int64_t begin = 0; begin < size; begin += kStateBlock) {
    const std::int64_t end = std::min(begin + kStateBlock, size);
    float scale = 0;
    float bad = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      scale = std::max(scale, std::abs(x[i]));
      bad += std::abs(x[i]) - std::abs(x[i]);
    }
    scale = update::scale_of(scale + bad, 0);
    scales[begin / kStateBlock] = scale;
    const float inverse = update::inverse_of<float>(scale);
    for (std::int64_t i = begin; i < end; ++i) {
      codes[i] = update::encoded<square>(x[i], inverse, 0x8000u);
    }
  }
}

}  // namespace

Array decoded_state(const StoredState& state, bool square) {
  if (!state.is_coded()) return state.values;
  const StoredState here{to_device(state.values, {}), to_device(state.scales, {})};
  Array out(state.values.shape(), Dtype::float32);
  if (square) {
    decode<true>(here, out.data<float>());
  } else {
    decode<false>(here, out.data<float>());
  }
  return to_device(out, state.values.device());
}

StoredState stored_as(const StoredState& state, Dtype dtype, bool square) {
  const Array floats = decoded_state(state, square);
  if (dtype != Dtype::int8) return {as_dtype(as_contiguous(floats), dtype), {}};
  if (state.is_coded()) return state;
  const Device device = floats.device();
  const Array here = as_dtype(as_contiguous(to_device(floats, {})), Dtype::float32);
  const StoredState coded{Array(here.shape(), Dtype::int8),
                          Array({group_count(here.size())}, Dtype::float32)};
  if (square) {
    encode<true>(here.data<float>(), coded);
  } else {
    encode<false>(here.data<float>(), coded);
  }
  return {to_device(coded.values, device), to_device(coded.scales, device)};
}

StoredState filled_state(const Shape& shape,
                         Dtype dtype,
                         Device device,
                         double value,
                         bool square) {
  if (dtype != Dtype::int8) return {filled(shape, dtype, device, value), {}};
  return stored_as({filled(shape, Dtype::float32, device, value), {}}, dtype, square);
}

}  // namespace chainrule
