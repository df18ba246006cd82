#include "../../../../cuda/kernels/traced_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <regex>
#include <set>

#include "../../update/expressions.h"
#include "../../update/support.h"
#include "chainrule/update/lowering.h"
#include "traced_programs.h"

namespace chainrule::testing {
namespace {

using cuda::traced_source;
using update::Opcode;

// The statements of the rule, one a line.
std::string body_of(const std::string& source) {
  const std::size_t begin = source.find("using update::Opcode;\n");
  const std::size_t end = source.find("  }\n};", begin);
  EXPECT_NE(begin, std::string::npos) << source;
  EXPECT_NE(end, std::string::npos) << source;
  return source.substr(begin + 22, end - begin - 22);
}

TEST(TracedSource, IsOneStatementPerInstruction) {
  WrittenProgram w;
  w.registers = 2;
  w.coefs = 3;
  w.states = 2;
  w.constants = {0.1, -2};
  const auto s1 = WrittenProgram::state(1);
  const auto r1 = WrittenProgram::scratch(1);
  w.code = {{Opcode::combine, s1, {s1, update::kGradPlace, 0}, {0, 2, 9, 9}},
            {Opcode::sqrt, r1, {s1, 7, 7}, {3, 4, 1, 0}},
            {Opcode::select, update::kParamPlace, {r1, update::kParamPlace, s1}, {}},
            {Opcode::fill, s1, {0, 0, 0}, {4, 0, 0, 0}}};
  const std::string source = traced_source(w.view(), false, false);
  EXPECT_EQ(body_of(source),
            "    T r0;\n"
            "    T r1;\n"
            "    s1 = compute<Opcode::combine>(Scalars<T>{c.of[0], c.of[2]}.of, s1, g, T(0));\n"
            "    r1 = compute<Opcode::sqrt>(Scalars<T>{T(0x1.999999999999ap-4), T(-0x1p+1), "
            "c.of[1], c.of[0]}.of, s1, T(0), T(0));\n"
            "    p = compute<Opcode::select>(Scalars<T>{}.of, r1, p, s1);\n"
            "    s1 = compute<Opcode::fill>(Scalars<T>{T(-0x1p+1)}.of, T(0), T(0), T(0));\n");
  EXPECT_NE(source.find("step(const Coefs<T>& c, T g, T& p, T& s0, T& s1)"), std::string::npos);
  EXPECT_NE(source.find("update::Names<2> states"), std::string::npos);
  EXPECT_NE(source.find("T of[3];"), std::string::npos);
}

TEST(TracedSource, DependsOnTheProgramAndTheKernelWantedAlone) {
  const WrittenProgram w = every_instruction();
  const WrittenProgram again = every_instruction();
  std::set<std::string> kinds;
  for (const bool is_double : {false, true}) {
    for (const bool observed : {false, true}) {
      const std::string source = traced_source(w.view(), is_double, observed);
      EXPECT_EQ(source, traced_source(again.view(), is_double, observed));
      EXPECT_NE(source.find(is_double ? "<UsersRule, double, " : "<UsersRule, float, "),
                std::string::npos);
      EXPECT_NE(source.find(cuda::kTracedKernel), std::string::npos);
      kinds.insert(source);
    }
  }
  EXPECT_EQ(kinds.size(), 4u);
}

TEST(TracedSource, HasEveryInstruction) {
  const std::string body = body_of(traced_source(every_instruction().view(), false, false));
#define CHAINRULE_OPCODE(name, operands, scalars) \
  EXPECT_NE(body.find(" = compute<Opcode::" #name ">("), std::string::npos) << #name;
  CHAINRULE_OPCODES(CHAINRULE_OPCODE)
#undef CHAINRULE_OPCODE
}

TEST(TracedSource, ConstantsAreExact) {
  std::vector<double> numbers = noise(200, 3);
  for (double& x : numbers) x *= std::pow(2.0, std::floor(1000 * x));
  const double tiny = std::numeric_limits<double>::denorm_min();
  numbers.insert(numbers.end(), {0.0, -0.0, 1.0, tiny, -3 * tiny, 0x1.fffffffffffffp+1023});
  for (const double x : numbers) {
    WrittenProgram w;
    w.constants = {x};
    w.code = {{Opcode::fill, update::kParamPlace, {}, {0, 0, 0, 0}}};
    const std::string body = body_of(traced_source(w.view(), true, false));
    std::smatch found;
    ASSERT_TRUE(std::regex_search(body, found, std::regex(R"(T\((-?0x[0-9a-f.]+p[+-]\d+)\))")))
        << body;
    const double read = std::strtod(found[1].str().c_str(), nullptr);
    EXPECT_EQ(read, x) << body;
    EXPECT_EQ(std::signbit(read), std::signbit(x)) << body;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  WrittenProgram w;
  w.constants = {infinity, -infinity, std::nan("")};
  w.code = {{Opcode::exp, update::kParamPlace, {}, {0, 1, 2, 0}}};
  EXPECT_NE(body_of(traced_source(w.view(), true, false))
                .find("{T(__builtin_inf()), T(-__builtin_inf()), T(__builtin_nan(\"\")), "),
            std::string::npos);
}

// As the tracer's programs come: Adam is three instructions.
TEST(TracedSource, AdamIsShort) {
  const Writer adam = adam_expression();
  const LoweredRule rule(adam.expression, 4);
  const std::string body = body_of(traced_source(rule.program(), false, true));
  EXPECT_EQ(std::count(body.begin(), body.end(), '='), rule.program().length);
  EXPECT_EQ(rule.program().length, 3) << rule.listing();
}

}  // namespace
}  // namespace chainrule::testing
