#include "chainrule/update/register_allocation.h"

#include <algorithm>
#include <utility>

namespace chainrule {
namespace {

using update::kRegisterPlaces;
using update::Opcode;

bool is_register(int place) { return place >= kRegisterPlaces; }
std::size_t number(int place) { return static_cast<std::size_t>(place - kRegisterPlaces); }

VirtualInstruction copy_of(int from, int to) {
  VirtualInstruction copy{};
  copy.code = Opcode::copy;
  copy.out = to;
  copy.operand[0] = from;
  return copy;
}

// Takes down inputs that become results elsewhere before anything is written: copies at the
// start. Registers are renumbered to make room.
VirtualCode with_inputs_copied(const VirtualCode& code) {
  VirtualCode out;
  std::vector<std::pair<int, int>> copies;  // input, register
  for (const auto& [place, value] : code.results) {
    const auto same = [input = value](const auto& copy) { return copy.first == input; };
    if (is_register(value) || std::any_of(copies.begin(), copies.end(), same)) continue;
    copies.emplace_back(value, kRegisterPlaces + static_cast<int>(copies.size()));
    out.instructions.push_back(copy_of(value, copies.back().second));
  }
  const int shift = static_cast<int>(copies.size());
  for (VirtualInstruction instruction : code.instructions) {
    instruction.out += shift;
    for (int k = 0; k < update::operands_of(instruction.code); ++k) {
      if (is_register(instruction.operand[k])) instruction.operand[k] += shift;
    }
    out.instructions.push_back(instruction);
  }
  for (auto [place, value] : code.results) {
    if (is_register(value)) {
      value += shift;
    } else {
      for (const auto& [input, copy] : copies) {
        if (input == value) {
          value = copy;
          break;
        }
      }
    }
    out.results.push_back({place, value});
  }
  return out;
}

}  // namespace

AllocatedCode allocate_registers(const VirtualCode& given) {
  const VirtualCode code = with_inputs_copied(given);
  const int count = static_cast<int>(code.instructions.size());

  // When a value is read for the last time; results that are copied at the end count as reads.
  std::vector<int> last(static_cast<std::size_t>(count), -1);
  int last_of_input[kRegisterPlaces] = {};
  std::fill(std::begin(last_of_input), std::end(last_of_input), -1);
  for (int i = 0; i < count; ++i) {
    const VirtualInstruction& instruction = code.instructions[static_cast<std::size_t>(i)];
    for (int k = 0; k < update::operands_of(instruction.code); ++k) {
      const int place = instruction.operand[k];
      (is_register(place) ? last[number(place)] : last_of_input[place]) = i;
    }
  }

  std::vector<int> home(static_cast<std::size_t>(count), -1);  // by virtual register
  std::vector<VirtualCode::Result> late;
  for (const auto& result : code.results) {
    int& place = home[number(result.value)];
    const int made = static_cast<int>(number(result.value));
    if (place < 0 && last_of_input[result.place] <= made) {
      place = result.place;
    } else {
      late.push_back(result);
      last[number(result.value)] = count;
    }
  }

  AllocatedCode out;
  std::vector<bool> taken;
  for (int i = 0; i < count; ++i) {
    VirtualInstruction instruction = code.instructions[static_cast<std::size_t>(i)];
    const int operands = update::operands_of(instruction.code);
    for (int k = 0; k < operands; ++k) {
      int& place = instruction.operand[k];
      if (is_register(place)) place = home[number(place)];
    }
    // A register that is read for the last time can take the result.
    for (int k = 0; k < operands; ++k) {
      const int before = code.instructions[static_cast<std::size_t>(i)].operand[k];
      if (is_register(before) && last[number(before)] == i && is_register(instruction.operand[k])) {
        taken[number(instruction.operand[k])] = false;
      }
    }
    int& place = home[static_cast<std::size_t>(i)];
    if (place < 0) {
      if (last[static_cast<std::size_t>(i)] < 0) continue;  // nobody wants it
      const auto free = std::find(taken.begin(), taken.end(), false);
      place = kRegisterPlaces + static_cast<int>(free - taken.begin());
      if (free == taken.end()) taken.push_back(true);
      taken[number(place)] = true;
    }
    instruction.out = place;
    out.instructions.push_back(instruction);
  }
  for (const auto& [place, value] : late) {
    out.instructions.push_back(copy_of(home[number(value)], place));
  }
  out.register_count = static_cast<int>(taken.size());
  return out;
}

}  // namespace chainrule
