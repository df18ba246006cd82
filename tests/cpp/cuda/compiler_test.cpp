#include "../../../cuda/compiler.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "../../../cuda/device_headers.h"
#include "../../../cuda/kernels/traced_source.h"
#include "../update/expressions.h"
#include "chainrule/update/lowering.h"
#include "kernels/traced_programs.h"

namespace chainrule::testing {
namespace {

using cuda::compile;
using cuda::Compiled;
using cuda::traced_source;

// Needs NVRTC, and no GPU.
class Compiler : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(CHAINRULE_TEST_NVRTC)
    setenv("CHAINRULE_NVRTC", CHAINRULE_TEST_NVRTC, 0);
#endif
    const cuda::OpenedLibrary state = cuda::compiler_state();
    if (!state.problem.empty()) GTEST_SKIP() << state.problem;
  }
#if defined(CHAINRULE_TEST_NVRTC)
  // Other tests' plug-ins are to do without.
  void TearDown() override {
    if (std::string(std::getenv("CHAINRULE_NVRTC")) == CHAINRULE_TEST_NVRTC) {
      unsetenv("CHAINRULE_NVRTC");
    }
  }
#endif
};

void expect_machine_code(const update::TracedProgram& program, int capability) {
  for (const bool is_double : {false, true}) {
    for (const bool observed : {false, true}) {
      const std::string source = traced_source(program, is_double, observed);
      const Compiled compiled = compile(source, capability);
      ASSERT_EQ(compiled.problem, "") << source;
      ASSERT_EQ(compiled.code.substr(0, 4),
                "\x7f"
                "ELF");
      EXPECT_NE(compiled.code.find(cuda::kTracedKernel), std::string::npos);
    }
  }
}

TEST_F(Compiler, MakesKernelsOfEveryInstruction) {
  expect_machine_code(every_instruction().view(), 90);
}

TEST_F(Compiler, MakesKernelsOfTracedRules) {
  const Writer adam = adam_expression();
  const LoweredRule rule(adam.expression, 4);
  expect_machine_code(rule.program(), 80);
}

TEST_F(Compiler, MakesKernelsOfTheSmallestAndTheLargest) {
  expect_machine_code(nothing_but_a_copy().view(), 90);
  WrittenProgram w;
  w.registers = update::kMaxRegisters;
  w.coefs = update::kMaxCoefs;
  w.states = update::kMaxStates;
  w.constants.assign(update::kMaxConstants, 0.7);
  for (int i = 0; i < update::kMaxInstructions; ++i) {
    const auto out = WrittenProgram::scratch(i % update::kMaxRegisters);
    const auto before = WrittenProgram::scratch((i + 5) % update::kMaxRegisters);
    const auto scalar = static_cast<std::uint8_t>(i % (update::kMaxCoefs + update::kMaxConstants));
    const std::uint8_t param = update::kParamPlace;
    w.code.push_back({update::Opcode::multiply_add,
                      out,
                      {i < update::kMaxRegisters ? param : before, update::kGradPlace,
                       WrittenProgram::state(i % update::kMaxStates)},
                      {scalar, 0, 0, 0}});
  }
  w.code.back().out = update::kParamPlace;
  const std::string source = traced_source(w.view(), false, true);
  EXPECT_EQ(compile(source, 90).problem, "");
}

// A device that is newer than NVRTC gets PTX of the newest it knows.
TEST_F(Compiler, MakesPtxForDevicesItDoesNotKnow) {
  const Compiled compiled = compile(traced_source(every_instruction().view(), false, false), 999);
  ASSERT_EQ(compiled.problem, "");
  EXPECT_NE(compiled.code.find(".target sm_"), std::string::npos);
  EXPECT_NE(compiled.code.find(cuda::kTracedKernel), std::string::npos);
}

TEST_F(Compiler, SaysWhatIsWrong) {
  const Compiled compiled = compile("#include \"update_kernel.cuh\"\nint x = nobody;\n", 90);
  EXPECT_EQ(compiled.code, "");
  EXPECT_NE(compiled.problem.find("nobody"), std::string::npos) << compiled.problem;
}

TEST(CompilerHeaders, AreAllThere) {
  std::set<std::string> names;
  for (const cuda::DeviceHeader& header : cuda::device_headers()) {
    EXPECT_TRUE(names.insert(header.name).second) << header.name;
  }
  // Whatever they include from this repository.
  for (const cuda::DeviceHeader& header : cuda::device_headers()) {
    const std::string text = header.text;
    for (std::size_t at = 0; (at = text.find("#include \"", at)) != std::string::npos; ++at) {
      const std::size_t begin = at + 10;
      const std::string name = text.substr(begin, text.find('"', begin) - begin);
      EXPECT_TRUE(names.count(name))
          << header.name << " includes " << name << ": a line in cmake/DeviceHeaders.cmake";
    }
  }
}

// In a process of its own, as the library is looked for once.
TEST(CompilerDeathTest, SaysWhereItLooked) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto look = [] {
    setenv("CHAINRULE_NVRTC", "/nowhere/libnvrtc.so", 1);
    const bool named = compile("", 90).problem.find("NVRTC was not found") == 0 &&
                       cuda::compiler_state().name.empty();
    std::exit(named ? 0 : 1);
  };
  EXPECT_EXIT(look(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace chainrule::testing
