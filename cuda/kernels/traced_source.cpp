#include "traced_source.h"

#include <charconv>
#include <cmath>

#include "chainrule/core/error.h"

namespace chainrule::cuda {
namespace {

using update::Instruction;
using update::Opcode;

// Exactly, in any locale.
std::string number(double x) {
  if (std::isnan(x)) return "__builtin_nan(\"\")";
  const std::string sign = std::signbit(x) ? "-" : "";
  if (std::isinf(x)) return sign + "__builtin_inf()";
  char digits[64];
  const auto end =
      std::to_chars(digits, digits + sizeof(digits), std::abs(x), std::chars_format::hex);
  return cat(sign, "0x", std::string(digits, end.ptr));
}

std::string place(int at) {
  if (at == update::kParamPlace) return "p";
  if (at == update::kGradPlace) return "g";
  if (at < update::kRegisterPlaces) return cat("s", at - update::kStatePlaces);
  return cat("r", at - update::kRegisterPlaces);
}

std::string scalar(const update::TracedProgram& program, int at) {
  if (at < program.coef_count) return cat("c.of[", at, "]");
  return cat("T(", number(program.constants[at - program.coef_count]), ")");
}

std::string statement(const update::TracedProgram& program, const Instruction& instruction) {
  const int operands = update::operands_of(instruction.code);
  std::string out = cat(place(instruction.out),
                        " = compute<Opcode::", update::name_of(instruction.code), ">(Scalars<T>{");
  for (int k = 0; k < update::scalars_of(instruction.code); ++k) {
    out += cat(k ? ", " : "", scalar(program, instruction.scalar[k]));
  }
  out += "}.of";
  // All take three; those that one does not have it does not look at.
  for (int k = 0; k < 3; ++k) {
    out += cat(", ", k < operands ? place(instruction.operand[k]) : std::string("T(0)"));
  }
  return out + ");";
}

}  // namespace

std::string traced_source(const update::TracedProgram& program, bool is_double, bool observed) {
  std::string states;
  for (int k = 0; k < program.state_count; ++k) states += cat(", T& s", k);
  std::string body;
  for (int k = 0; k < program.register_count; ++k) body += cat("    T r", k, ";\n");
  for (int i = 0; i < program.length; ++i) {
    body += cat("    ", statement(program, program.code[i]), "\n");
  }
  return cat(R"(#include "update_kernel.cuh"

namespace chainrule::cuda {

struct UsersRule {
  static constexpr update::Names<)",
             program.state_count, R"(> states{};
  template <class T>
  struct Coefs {
    T of[)",
             program.coef_count ? program.coef_count : 1, R"(];
  };
  template <class T>
  struct Scalars {
    T of[update::kMaxScalarOperands];
  };
  template <class T>
  CR_INLINE static void step(const Coefs<T>& c, T g, T& p)",
             states, R"() {
    using update::compute;
    using update::Opcode;
)",
             body, R"(  }
};

extern "C" __global__ void __launch_bounds__(kThreads) )",
             kTracedKernel, R"((
    const Row* rows, const Chunk* chunks, const std::int32_t* order, double* statistics) {
  update_block<UsersRule, )",
             is_double ? "double" : "float", ", ", observed ? "true" : "false",
             R"(>(rows, chunks, order, statistics);
}

}  // namespace chainrule::cuda
)");
}

}  // namespace chainrule::cuda
