#pragma once

#include <vector>

#include "chainrule/update/traced_program.h"

// Programs for the tests of what makes kernels of them.
namespace chainrule::testing {

struct WrittenProgram {
  std::vector<update::Instruction> code;
  std::vector<double> constants;
  int registers = 0;
  int coefs = 0;
  int states = 0;

  update::TracedProgram view() const {
    return {code.data(),
            constants.data(),
            static_cast<std::int32_t>(code.size()),
            static_cast<std::int16_t>(registers),
            static_cast<std::int16_t>(coefs),
            static_cast<std::int16_t>(constants.size()),
            static_cast<std::int16_t>(states)};
  }
  static std::uint8_t state(int k) { return static_cast<std::uint8_t>(update::kStatePlaces + k); }
  static std::uint8_t scratch(int k) {
    return static_cast<std::uint8_t>(update::kRegisterPlaces + k);
  }
};

// Every instruction there is, each added to one of four states or to the parameter; two
// coefficients. Numbers stay small and, for gradients and parameters within 1, finite.
inline WrittenProgram every_instruction() {
  using update::Instruction;
  using update::Opcode;
  WrittenProgram out;
  out.registers = 3;
  out.coefs = 2;
  out.states = 4;
  out.constants = {0.25, 0.5, 1.0, 0.1};
  constexpr std::uint8_t p = update::kParamPlace;
  constexpr std::uint8_t g = update::kGradPlace;
  const std::uint8_t positive = WrittenProgram::scratch(0);
  const std::uint8_t other = WrittenProgram::scratch(1);
  const std::uint8_t result = WrittenProgram::scratch(2);
  const std::uint8_t quarter = 2;
  const std::uint8_t half = 3;
  const std::uint8_t one = 4;
  const std::uint8_t tenth = 5;
  for (int i = 0; i < static_cast<int>(Opcode::count); ++i) {
    const auto code = static_cast<Opcode>(i);
    out.code.push_back({Opcode::multiply, positive, {g, g, g}, {one, tenth, 0, 0}});
    out.code.push_back({Opcode::multiply, other, {p, p, p}, {half, tenth, 0, 0}});
    // Of a signed number where any will do.
    const bool any = code <= Opcode::multiply_add ||
                     (code >= Opcode::clip && code <= Opcode::maximum_s) ||
                     (code >= Opcode::less && code <= Opcode::floor) || code == Opcode::exp ||
                     code == Opcode::expm1 || code == Opcode::tanh;
    const std::uint8_t a = any ? g : positive;
    const std::uint8_t b = any ? p : other;
    const bool twice = code == Opcode::equal || code == Opcode::not_equal;
    const std::uint8_t low = code == Opcode::clip ? 0 : quarter;
    out.code.push_back({code, result, {a, twice ? a : b, other}, {low, 1, half, quarter}});
    const std::uint8_t to = i % 5 == 4 ? p : WrittenProgram::state(i % 5);
    out.code.push_back({Opcode::combine, to, {to, result, g}, {half, quarter, 0, 0}});
  }
  return out;
}

// The smallest there is.
inline WrittenProgram nothing_but_a_copy() {
  WrittenProgram out;
  out.code.push_back({update::Opcode::copy, update::kParamPlace, {update::kGradPlace, 0, 0}, {}});
  return out;
}

}  // namespace chainrule::testing
