#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/backend/cpu/x86_code.h"
#include "chainrule/core/api.h"
#include "chainrule/update/traced_program.h"

namespace chainrule::cpu {

// Code that has been written for a program; empty, with a problem, where there is none.
struct CHAINRULE_API WrittenLoop {
  std::vector<std::uint8_t> bytes;
  std::string problem;
};

// Writes the loop of a user's rule over arrays of one type. All values of an element stay in
// registers, so that memory is read and written once, as by the loops of built-in rules.
CHAINRULE_API WrittenLoop write_loop(const update::TracedProgram& program,
                                     X86Code::Level level,
                                     Dtype dtype);

struct CHAINRULE_API Unmap {
  std::size_t size = 0;
  void operator()(void* memory) const;
};

// The machine code of a user's rule, for float and for double, in memory that can be run and not
// written. It does what the interpreter does, bit by bit (kernels/traced_loops.h), for the
// instruction set that the kernels use. Where that is not AVX2 or better, where the program has an
// instruction that needs a series (exp, log, tanh, powers), or more values at a time than the
// processor has registers, or where the system gives no memory for code, there is none.
// CHAINRULE_COMPILE_RULES=0 in the environment asks for none.
class CHAINRULE_API TracedCode {
 public:
  TracedCode() = default;
  // As above, or for a processor that knows at least `level`.
  explicit TracedCode(const update::TracedProgram& program);
  TracedCode(const update::TracedProgram& program, X86Code::Level level);

  // Null, and why.
  update::TracedLoop loop(Dtype dtype) const { return loops_[dtype == Dtype::float64]; }
  const std::string& problem() const { return problem_; }

 private:
  void make(const update::TracedProgram& program, X86Code::Level level);

  std::unique_ptr<void, Unmap> memory_;
  update::TracedLoop loops_[2] = {};
  std::string problem_;
};

// Why no rule becomes machine code here; empty where those do that can.
CHAINRULE_API std::string problem_with_traced_code();

}  // namespace chainrule::cpu
