#pragma once

#include "chainrule/backend/cpu/kernels/update_loops.h"
#include "chainrule/update/traced_element.h"

// What runs a user's rule where it is not machine code: its instructions, one after the other, each
// over a block of elements that the first-level cache holds with all registers.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace traced_loops {

using update::Instruction;
using update::kMaxCoefs;
using update::kMaxConstants;
using update::kMaxRegisters;
using update::Opcode;
using update::TracedProgram;

// Bytes of a block: a register, and a piece of each array.
inline constexpr std::int64_t kRegisterBytes = 1024;

template <class T>
using InstructionLoop = void (*)(std::int64_t n,
                                 const T* s,
                                 const T* a,
                                 const T* b,
                                 const T* c,
                                 T* out,
                                 const T* ahead);

// Operands and result may be the same array, never overlap otherwise. As much memory as is worked
// on is asked for from `ahead` on. Operands that the
// instruction does not have are the first one again, and compiled away.
template <Opcode code, class T>
void instruction_loop(std::int64_t n,
                      const T* s,
                      const T* a,
                      const T* b,
                      const T* c,
                      T* out,
                      const T* ahead) {
  T scalars[update::kMaxScalarOperands] = {};
  for (int k = 0; k < update::scalars_of(code); ++k) scalars[k] = s[k];
  constexpr int operands = update::operands_of(code);
  const auto ask = [&](std::int64_t i)
                       __attribute__((always_inline)) { update_loops::ask_ahead(ahead + i, 0); };
  update_loops::for_lanes(n, ask, [&](std::int64_t i, int) __attribute__((always_inline)) {
    const T x = operands > 0 ? a[i] : T(0);
    const T y = operands > 1 ? b[i] : T(0);
    const T z = operands > 2 ? c[i] : T(0);
    out[i] = update::compute<code>(scalars, x, y, z);
  });
}

template <class T>
struct InstructionLoops {
  static constexpr InstructionLoop<T> of[] = {
#define CHAINRULE_OPCODE(name, operands, scalars) instruction_loop<Opcode::name, T>,
      CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
  };
};

// What an instruction's scalars are: coefficients of the row, then constants.
template <class T>
CR_INLINE void find_scalars(const TracedProgram& program, const double* coefs, T* scalars) {
  for (int k = 0; k < program.coef_count; ++k) scalars[k] = static_cast<T>(coefs[k]);
  for (int k = 0; k < program.constant_count; ++k) {
    scalars[program.coef_count + k] = static_cast<T>(program.constants[k]);
  }
}

// A program, and what it needs of a row, in type T.
template <class T>
class Evaluator {
 public:
  Evaluator(const TracedProgram& program, const double* coefs, T* p, T* const* states)
      : program_(program), arrays_(update::kStatePlaces + program.state_count) {
    scalars_[0] = 0;  // what operands that an instruction has not point to
    find_scalars(program, coefs, scalars_);
    places_[update::kParamPlace] = p;
    for (int k = 0; k < program.state_count; ++k) places_[update::kStatePlaces + k] = states[k];
    for (int k = 0; k < program.register_count; ++k) {
      places_[update::kRegisterPlaces + k] = registers_[k];
    }
  }

  T* param() const { return places_[update::kParamPlace]; }

  // Runs over the next block, with gradient g. The memory after it, gradients from `g_ahead` on
  // if there are any, is asked for meanwhile, an array by an instruction: what all have is asked
  // for once more where nothing else is left to ask for.
  void run(std::int64_t n, const T* g, const T* g_ahead) {
    places_[update::kGradPlace] = const_cast<T*>(g);  // no program writes it
    const int all = g_ahead ? arrays_ : 0;
    int asked = 0;
    int due = 0;
    for (int i = 0; i < program_.length; ++i) {
      const Instruction& instruction = program_.code[i];
      const T* ahead = places_[instruction.out];
      due += all;
      if (due >= program_.length && asked < all) {
        ahead = asked == update::kGradPlace ? g_ahead : places_[asked] + kBlock;
        ++asked;
        due -= program_.length;
      }
      T s[update::kMaxScalarOperands];
      for (int k = 0; k < update::kMaxScalarOperands; ++k) s[k] = scalars_[instruction.scalar[k]];
      InstructionLoops<T>::of[static_cast<int>(instruction.code)](
          n, s, places_[instruction.operand[0]], places_[instruction.operand[1]],
          places_[instruction.operand[2]], places_[instruction.out], ahead);
    }
    for (int k = 0; k < arrays_; ++k) places_[k] += n;
  }

  static constexpr std::int64_t kBlock = kRegisterBytes / static_cast<std::int64_t>(sizeof(T));

 private:
  const TracedProgram& program_;
  int arrays_;
  T scalars_[kMaxCoefs + kMaxConstants];
  T* places_[update::kRegisterPlaces + kMaxRegisters];
  alignas(64) T registers_[kMaxRegisters][kBlock];
};

}  // namespace traced_loops
}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
