#pragma once

#include <algorithm>
#include <vector>

#include "../staging.h"
#include "chainrule/update/plan.h"
#include "chainrule/update/traced_program.h"

namespace chainrule::cuda {

// The rows of a batch's chunks and their programs, as the device sees them.
class Tables {
 public:
  Tables(Staging& staging, const update::Batch& batch) : staging_(staging), first_(batch.rows) {
    const Row* last = nullptr;
    std::int64_t steps = 0;
    for (std::int64_t c = 0; c < batch.chunk_count; ++c) {
      const Row* row = &batch.rows[batch.chunks[c].row];
      if (row == last) continue;
      last = row;
      rows_.push_back(row);
      steps += row->own_count;
      if (row->shared_count > shared_count_) shared_count_ = row->shared_count;
      if (row->shared_count) shared_ = row->shared_steps;
      if (row->traced && std::find(traced_.begin(), traced_.end(), row->traced) == traced_.end()) {
        traced_.push_back(row->traced);
      }
    }
    std::int64_t instructions = 0;
    std::int64_t constants = 0;
    for (const update::TracedProgram* program : traced_) {
      instructions += program->length;
      constants += program->constant_count;
    }
    row_room_ = staging.room<Row>(batch.row_count);
    step_room_ = staging.room<update::GradientStep>(steps + shared_count_);
    traced_room_ = staging.room<update::TracedProgram>(static_cast<std::int64_t>(traced_.size()));
    code_room_ = staging.room<update::Instruction>(instructions);
    constant_room_ = staging.room<double>(constants);
  }

  // Fills them in, and returns where the rows will lie, each at its place in the batch.
  const update::Row* write() const {
    const auto rows = staging_.table<Row>(row_room_);
    const auto steps = staging_.table<update::GradientStep>(step_room_);
    const auto programs = staging_.table<update::TracedProgram>(traced_room_);
    const auto code = staging_.table<update::Instruction>(code_room_);
    const auto constants = staging_.table<double>(constant_room_);
    const auto put = [](const auto& table, std::int64_t& used, const auto* from, int count) {
      for (int i = 0; i < count; ++i) table.host[used + i] = from[i];
      used += count;
      return table.device + used - count;
    };
    std::int64_t code_used = 0;
    std::int64_t constants_used = 0;
    for (std::size_t i = 0; i < traced_.size(); ++i) {
      update::TracedProgram& program = programs.host[i];
      program = *traced_[i];
      program.code = put(code, code_used, program.code, program.length);
      program.constants = put(constants, constants_used, program.constants, program.constant_count);
    }
    std::int64_t used = 0;
    const update::GradientStep* shared = put(steps, used, shared_, shared_count_);
    for (const Row* from : rows_) {
      Row& row = rows.host[from - first_];
      row = *from;
      row.shared_steps = shared;
      row.own_steps = put(steps, used, from->own_steps, from->own_count);
      if (from->traced) {
        row.traced = programs.device +
                     (std::find(traced_.begin(), traced_.end(), from->traced) - traced_.begin());
      }
    }
    return rows.device;
  }

 private:
  using Row = update::Row;

  Staging& staging_;
  const Row* first_;
  std::vector<const Row*> rows_;
  std::vector<const update::TracedProgram*> traced_;
  const update::GradientStep* shared_ = nullptr;
  int shared_count_ = 0;
  std::size_t row_room_;
  std::size_t step_room_;
  std::size_t traced_room_;
  std::size_t code_room_;
  std::size_t constant_room_;
};

}  // namespace chainrule::cuda
