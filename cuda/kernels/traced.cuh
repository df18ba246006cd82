#pragma once

#include "chainrule/update/rule.h"
#include "chainrule/update/traced_element.h"
#include "update_elements.cuh"

// A user's rule, instruction by instruction: what every device can run without a compiler.
namespace chainrule::cuda {

// Stands in the list of rules for all of them.
struct Traced {
  static constexpr update::Names<update::kMaxStates> states{};
  template <class T>
  struct Coefs {
    T value[update::kMaxCoefs];
  };
};

// Runs a program over the elements of a thread. All threads of a block run the same one, so that
// no branch diverges.
template <class T, int width>
CR_INLINE void run_traced(const update::TracedProgram& program,
                          const T* coefs,
                          const Values<T, width>& g,
                          Values<T, width>& p,
                          Values<T, width>* states) {
  using update::Opcode;
  Values<T, width> places[update::kRegisterPlaces + update::kMaxRegisters];
  places[update::kParamPlace] = p;
  places[update::kGradPlace] = g;
  for (int k = 0; k < program.state_count; ++k) places[update::kStatePlaces + k] = states[k];
  for (int i = 0; i < program.length; ++i) {
    const update::Instruction instruction = program.code[i];
    T s[update::kMaxScalarOperands] = {};
    for (int k = 0; k < update::kMaxScalarOperands; ++k) {
      const int at = instruction.scalar[k];
      const int constant = at - program.coef_count;
      if (constant < 0) {
        s[k] = coefs[at];
      } else if (constant < program.constant_count) {
        s[k] = static_cast<T>(program.constants[constant]);
      }
    }
    const Values<T, width> a = places[instruction.operand[0]];
    const Values<T, width> b = places[instruction.operand[1]];
    const Values<T, width> c = places[instruction.operand[2]];
    Values<T, width>& out = places[instruction.out];
    switch (instruction.code) {
#define CHAINRULE_OPCODE(name, operands, scalars)                          \
  case Opcode::name:                                                       \
    for (int j = 0; j < width; ++j) {                                      \
      out.v[j] = update::compute<Opcode::name>(s, a.v[j], b.v[j], c.v[j]); \
    }                                                                      \
    break;
      CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
      case Opcode::count:
        break;
    }
  }
  p = places[update::kParamPlace];
  for (int k = 0; k < program.state_count; ++k) states[k] = places[update::kStatePlaces + k];
}

}  // namespace chainrule::cuda
