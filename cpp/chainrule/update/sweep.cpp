#include "chainrule/update/sweep.h"

#include <algorithm>

#include "chainrule/backend/cpu/update.h"

namespace chainrule {
namespace {

using update::Batch;
using update::Chunk;
using update::kChunk;
using update::Row;

// What a chunk costs beyond its elements, in elements.
constexpr std::int64_t kChunkCost = 64;

struct Chunks {
  std::vector<Chunk> chunks;
  std::vector<std::int64_t> starts{0};

  explicit Chunks(const std::vector<Row>& rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      append_chunks(chunks, starts, static_cast<std::int32_t>(i), rows[i].size);
    }
  }
  Batch batch(const std::vector<Row>& rows) const {
    return {rows.data(),
            chunks.data(),
            starts.data(),
            static_cast<std::int64_t>(rows.size()),
            static_cast<std::int64_t>(chunks.size()),
            nullptr};
  }
};

}  // namespace

void append_chunks(std::vector<Chunk>& chunks,
                   std::vector<std::int64_t>& starts,
                   std::int32_t row,
                   std::int64_t size) {
  for (std::int64_t at = 0; at < size; at += kChunk) {
    const std::int64_t count = std::min(kChunk, size - at);
    chunks.push_back({at, row, static_cast<std::int32_t>(count)});
    starts.push_back(starts.back() + count + kChunkCost);
  }
}

void Sweep::add(const Row& row) {
  rows_.push_back(row);
  rows_.back().observed = false;  // the last sweep is
}

void Sweep::add_stage(std::int16_t stage,
                      std::initializer_list<double> coefs,
                      const Array& out,
                      const Array& x,
                      std::initializer_list<const Array*> states) {
  Row row = row_of(x.raw(), x.dtype(), out.size());
  row.param = out.raw();
  row.param_dtype = static_cast<std::uint8_t>(out.dtype());
  row.rule = stage;
  row.in_place = x.dtype() == out.dtype();
  for (const Array* state : states) {
    row.state[row.state_count++] = state->raw();
    row.state_dtype = static_cast<std::uint8_t>(state->dtype());
    row.in_place = row.in_place && state->dtype() == out.dtype();
  }
  std::copy(coefs.begin(), coefs.end(), row.coefs);
  rows_.push_back(row);
}

void Sweep::run() {
  const Chunks chunks(rows_);
  run_update(device_, chunks.batch(rows_));
  rows_.clear();
}

std::vector<double> Sweep::measure() const {
  const Chunks chunks(rows_);
  std::vector<double> partial(chunks.chunks.size() * update::kMaxSums, 0);
  if (!partial.empty()) run_measure(device_, chunks.batch(rows_), partial.data());
  std::vector<double> sums(rows_.size(), 0);
  for (std::size_t c = 0; c < chunks.chunks.size(); ++c) {
    sums[static_cast<std::size_t>(chunks.chunks[c].row)] += partial[c * update::kMaxSums];
  }
  return sums;
}

std::vector<double> sums_of_squares(Device device, const std::vector<Row>& rows) {
  const Chunks chunks(rows);
  std::vector<double> partial(chunks.chunks.size());
  sum_squares(device, chunks.batch(rows), 0, partial.data());
  std::vector<double> sums(rows.size(), 0);
  for (std::size_t c = 0; c < partial.size(); ++c) {
    sums[static_cast<std::size_t>(chunks.chunks[c].row)] += partial[c];
  }
  return sums;
}

Row row_of(const void* data, Dtype dtype, std::int64_t size) {
  Row row{};
  row.grad = const_cast<void*>(data);
  row.param = row.grad;
  row.param_dtype = row.grad_dtype = static_cast<std::uint8_t>(dtype);
  row.size = size;
  row.rule = update::kNoRule;
  return row;
}

}  // namespace chainrule
