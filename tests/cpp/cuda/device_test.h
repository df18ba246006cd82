#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "chainrule/backend/plugin.h"
#include "chainrule/backend/transfer.h"

namespace chainrule::testing {

inline constexpr Device kCuda{DeviceKind::cuda, 0};
inline constexpr char kEmulated[] = CHAINRULE_TEST_PLUGINS "/emulated.so";

// Tests that run on a GPU where there is one, and on the emulated devices (tests/cpp/emulation)
// otherwise. CHAINRULE_TEST_CUDA=gpu or =emulated insists on one of them.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* wanted = std::getenv("CHAINRULE_TEST_CUDA");
    const std::string kind = wanted ? wanted : "";
    cuda::forget_plugin();
    cuda::Status status{false, ""};
    // A death test is a process that was started with these already.
    const char* plugin = std::getenv("CHAINRULE_CUDA_PLUGIN");
    const bool chosen = plugin && std::strcmp(plugin, kEmulated) == 0;
    if (kind != "emulated" && !chosen) status = cuda::status();
    if (!status.available && kind == "gpu") GTEST_SKIP() << status.reason;
    emulated_ = !status.available;
#if defined(CHAINRULE_TEST_CUBLAS)
    if (!emulated_) setenv("CHAINRULE_CUBLAS", CHAINRULE_TEST_CUBLAS, 0);
#endif
    if (emulated_) {
      setenv("CHAINRULE_CUDA_PLUGIN", kEmulated, 1);
      setenv("CHAINRULE_CUBLAS", CHAINRULE_TEST_PLUGINS "/host_cublas.so", 1);
      cuda::forget_plugin();
      status = cuda::status();
      ASSERT_TRUE(status.available) << status.reason;
    }
  }
  void TearDown() override {
    unsetenv("CHAINRULE_EMULATE");
    if (emulated_) unsetenv("CHAINRULE_CUDA_PLUGIN");
    if (emulated_) unsetenv("CHAINRULE_CUBLAS");
    if (emulated_) cuda::forget_plugin();
  }

  bool emulated_ = false;
};

}  // namespace chainrule::testing
