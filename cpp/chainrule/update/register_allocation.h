#pragma once

#include <vector>

#include "chainrule/update/traced_program.h"

// From as many registers as there are instructions to as few as will do.
namespace chainrule {

// As update::Instruction; places beyond the inputs are numbered like the instructions.
struct VirtualInstruction {
  update::Opcode code;
  int out;
  int operand[3];
  int scalar[update::kMaxScalarOperands];
};

struct VirtualCode {
  struct Result {
    int place;  // the parameter or a state
    int value;  // what it becomes
  };
  std::vector<VirtualInstruction> instructions;
  std::vector<Result> results;
};

struct AllocatedCode {
  std::vector<VirtualInstruction> instructions;
  int register_count = 0;
};

// Results are written where they belong as early as nobody needs the old value any more.
AllocatedCode allocate_registers(const VirtualCode& code);

}  // namespace chainrule
