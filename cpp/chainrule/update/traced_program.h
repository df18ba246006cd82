#pragma once

#include <cstdint>

#include "chainrule/update/plan.h"

// A user's rule as the devices see it: plain data, made and checked by update/lowering.h.
//
// An instruction computes one value per element. Its operands are places: the parameter, the
// gradient, the states, then registers. Its scalars are places too: coefficients of the row, then
// constants of the program. Most arithmetic has the form  s0 (a o b) + s1 c , so that a line of
// a paper is one instruction and one pass over registers that lie in the first-level cache.
namespace chainrule::update {

// name, operands, scalars
#define CHAINRULE_OPCODES(op)                                                                     \
  op(fill, 0, 1)                /* s0 */                                                          \
      op(copy, 1, 0)            /* a */                                                           \
      op(affine, 1, 2)          /* s0 a + s1 */                                                   \
      op(combine, 2, 2)         /* s0 a + s1 b */                                                 \
      op(multiply, 2, 2)        /* s0 a b + s1 */                                                 \
      op(multiply_add, 3, 2)    /* s0 a b + s1 c */                                               \
      op(divide, 2, 2)          /* s0 a / b + s1 */                                               \
      op(divide_add, 3, 2)      /* s0 a / b + s1 c */                                             \
      op(reciprocal, 1, 2)      /* s0 / a + s1 */                                                 \
      op(reciprocal_add, 2, 2)  /* s0 / a + s1 b */                                               \
      op(divide_root_add, 3, 4) /* s0 a / (sqrt(s1 b) + s2) + s3 c */                             \
      op(clip, 1, 2)            /* min(max(a, s0), s1) */                                         \
      op(minimum, 2, 0) op(minimum_s, 1, 1) op(maximum, 2, 0) op(maximum_s, 1, 1) op(power, 2, 0) \
          op(power_s, 1, 1)                                                                       \
              op(power_of_s, 1, 1) /* a^b, a^s0, s0^a */ /* Comparisons give 1 or 0. */           \
      op(less, 2, 0) op(less_s, 1, 1) op(greater_s, 1, 1) op(less_equal, 2, 0)                    \
          op(less_equal_s, 1, 1) op(greater_equal_s, 1, 1) op(equal, 2, 0) op(equal_s, 1, 1)      \
              op(not_equal, 2, 0)                                                                 \
                  op(not_equal_s, 1,                                                              \
                     1) /* Where a is not 0, the first of the others, else the second. */         \
      op(select, 3, 0) op(select_vs, 2, 1) op(select_sv, 2, 1)                                    \
          op(select_ss, 1, 2) /* s2 f(s0 a + s1) + s3 */                                          \
      op(abs, 1, 4) op(sign, 1, 4) op(floor, 1, 4) op(sqrt, 1, 4) op(exp, 1, 4) op(expm1, 1, 4)   \
          op(log, 1, 4) op(log1p, 1, 4) op(tanh, 1, 4)

enum class Opcode : std::uint8_t {
#define CHAINRULE_OPCODE(name, operands, scalars) name,
  CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
      count,
};

inline constexpr int kMaxScalarOperands = 4;

struct Instruction {
  Opcode code;
  std::uint8_t out;  // a place
  std::uint8_t operand[3];
  std::uint8_t scalar[kMaxScalarOperands];
};

// Places of operands.
inline constexpr int kParamPlace = 0;
inline constexpr int kGradPlace = 1;
inline constexpr int kStatePlaces = 2;
inline constexpr int kRegisterPlaces = kStatePlaces + kMaxStates;
inline constexpr int kMaxRegisters = 24;
inline constexpr int kMaxConstants = 64;
inline constexpr int kMaxInstructions = 512;

// A program as machine code of the host: a loop over n elements of arrays of one type, with the
// row's coefficients and the program's constants, in this order, of that type too.
using TracedLoop = void (*)(std::int64_t n,
                            void* param,
                            const void* grad,
                            void* const* states,
                            const void* scalars);

struct TracedProgram {
  const Instruction* code;
  const double* constants;
  std::int32_t length;
  std::int16_t register_count;
  std::int16_t coef_count;
  std::int16_t constant_count;
  std::int16_t state_count;
  TracedLoop loop[2] = {};  // for float and for double; null where the host interprets the program
};

inline constexpr std::int8_t kOperands[] = {
#define CHAINRULE_OPCODE(name, operands, scalars) operands,
    CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
};
inline constexpr std::int8_t kScalarOperands[] = {
#define CHAINRULE_OPCODE(name, operands, scalars) scalars,
    CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
};
inline constexpr const char* kOpcodeNames[] = {
#define CHAINRULE_OPCODE(name, operands, scalars) #name,
    CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
};
constexpr const char* name_of(Opcode code) { return kOpcodeNames[static_cast<int>(code)]; }
constexpr int operands_of(Opcode code) { return kOperands[static_cast<int>(code)]; }
constexpr int scalars_of(Opcode code) { return kScalarOperands[static_cast<int>(code)]; }

}  // namespace chainrule::update
