#include "chainrule/update/tensor_rules/tensor_rule.h"

#include <gtest/gtest.h>

#include "../../cuda/device_test.h"
#include "../support.h"
#include "chainrule/core/error.h"

namespace chainrule::testing {
namespace {

TEST(TensorRule, EachEndsInARuleOfItsName) {
  for (const TensorRule* tensor : tensor_rules()) {
    const Algorithm& algorithm = find_algorithm(tensor->name);
    EXPECT_EQ(algorithm.tensor, tensor);
    ASSERT_EQ(algorithm.states.size(),
              static_cast<std::size_t>(algorithm.first_tensor_state) + tensor->states.size());
    EXPECT_LE(algorithm.states.size(), static_cast<std::size_t>(kMaxRuleStates));
    for (std::size_t i = 0; i < tensor->states.size(); ++i) {
      EXPECT_EQ(algorithm.find_state(tensor->states[i]),
                algorithm.first_tensor_state + static_cast<int>(i));
    }
  }
}

Ref<VariableImpl> matrix_parameter(Device device) {
  const Shape shape{2, 3};
  const Array flat = to_device(array_of({1, 2, 3, 4, 5, 6}, Dtype::float32), device);
  const Array data = flat.view(shape, contiguous_strides(shape, 4));
  auto param = make_ref<VariableImpl>(data, true);
  param->set_grad(Variable(to_device(array_of({1, 0, 0, 0, 1, 0}, Dtype::float32), device)
                               .view(shape, contiguous_strides(shape, 4))));
  return param;
}

class CudaTensorRuleDeathTest : public CudaTest {};

// In a process of its own, as cuBLAS is looked for once.
TEST_F(CudaTensorRuleDeathTest, WithoutCublasNothingIsChanged) {
  if (!emulated_) GTEST_SKIP() << "a real GPU cannot be told to fail";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto update = [] {
    setenv("CHAINRULE_CUBLAS", "/nowhere/libcublas.so", 1);
    const auto param = matrix_parameter(kCuda);
    const auto rule = rule_of("Muon");
    UpdateTable table;
    table.add(param, rule, "/w", false);
    try {
      table.update({});
    } catch (const DeviceError& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    const Array data = to_device(param->data(), {});
    std::exit(rule->t == 0 && !rule->has_states() && values_of(data)[0] == 1 ? 0 : 1);
  };
  EXPECT_EXIT(update(), ::testing::ExitedWithCode(0),
              "\\[update\\] /w: Muon multiplies matrices: \\[gemm\\] cuBLAS is not here");
}

TEST(TensorRule, WithoutDecompositionsSoapSaysSo) {
  const auto param = matrix_parameter({});
  UpdateTable table;
  const auto rule = rule_of("SOAP");
  table.add(param, rule, "/w", false);
  EXPECT_THROW(table.update({}), NotSupportedError);
  EXPECT_EQ(rule->t, 0);
  EXPECT_EQ(values_of(param->data())[0], 1);
}

}  // namespace
}  // namespace chainrule::testing
