#include "chainrule/backend/plugin.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/error.h"

namespace chainrule {
namespace {

// Every test points to a stand-in from tests/cpp/plugins and starts afresh.
class Plugin : public ::testing::Test {
 protected:
  void SetUp() override { cuda::forget_plugin(); }
  void TearDown() override {
    unsetenv("CHAINRULE_CUDA_PLUGIN");
    unsetenv("CHAINRULE_EMULATE");
    cuda::forget_plugin();
  }

  static void use(const std::string& path) {
    setenv("CHAINRULE_CUDA_PLUGIN", path.c_str(), 1);
    cuda::forget_plugin();
  }
  static std::string stand_in(const char* name) {
    return std::string(CHAINRULE_TEST_PLUGINS "/") + name + ".so";
  }

  // The reason, after making sure that nothing of the plug-in stays behind.
  static std::string reason_of(const std::string& path) {
    use(path);
    const cuda::Status status = cuda::status();
    EXPECT_FALSE(status.available);
    EXPECT_FALSE(status.reason.empty());
    EXPECT_EQ(status.reason.find('\n'), std::string::npos) << "one sentence";
    EXPECT_EQ(cuda::device_count(), 0);
    EXPECT_FALSE(KernelBase::find("fill")->has(DeviceKind::cuda, 0));
    try {
      Array({2}, Dtype::float32, {DeviceKind::cuda, 0});
      ADD_FAILURE() << "an array on a device that is not there";
    } catch (const DeviceError& error) {
      EXPECT_NE(std::string(error.what()).find(status.reason), std::string::npos) << error.what();
    }
    return status.reason;
  }
};

#define EXPECT_MENTIONS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST_F(Plugin, NotFound) {
  const std::string reason = reason_of("/nowhere/libchainrule_cuda.so");
  EXPECT_MENTIONS(reason, "was not found");
  EXPECT_MENTIONS(reason, "/nowhere/libchainrule_cuda.so");
}

TEST_F(Plugin, NoLibrary) {
  const std::string path = ::testing::TempDir() + "chainrule_no_library.so";
  std::ofstream(path) << "this is text\n";
  EXPECT_MENTIONS(reason_of(path), "could not be opened: ");
  std::remove(path.c_str());
}

TEST_F(Plugin, NeedsWhatIsNotThere) {
  EXPECT_MENTIONS(reason_of(stand_in("missing_library")), "nobody_has_this_function");
}

TEST_F(Plugin, WithoutEntry) {
  EXPECT_MENTIONS(reason_of(stand_in("no_symbol")), "it has no chainrule_cuda_plugin");
  EXPECT_MENTIONS(reason_of(stand_in("no_table")), "it has no chainrule_cuda_plugin");
}

TEST_F(Plugin, OfAnotherVersion) {
  const std::string reason = reason_of(stand_in("other_version"));
  EXPECT_MENTIONS(reason, "got version 0.0.1");
  EXPECT_MENTIONS(reason, "expected version " CHAINRULE_VERSION);
}

TEST_F(Plugin, OfAnotherAbiOrLayout) {
  EXPECT_MENTIONS(reason_of(stand_in("other_abi")), "got version unknown, ABI 999");
  EXPECT_MENTIONS(reason_of(stand_in("other_layout")), "is of another build");
}

TEST_F(Plugin, WithoutDriverOrDevice) {
  EXPECT_MENTIONS(reason_of(stand_in("no_driver")), "told to fail");
  EXPECT_MENTIONS(reason_of(stand_in("no_device")), "reports no device");
  EXPECT_MENTIONS(reason_of(stand_in("unusable")), "cardboard");
}

TEST_F(Plugin, WithAKernelThatNobodyAsksFor) {
  EXPECT_MENTIONS(reason_of(stand_in("stray_kernel")), "fly_to_the_moon");
}

TEST_F(Plugin, SaysWhatItsOwnCodeFinds) {
  setenv("CHAINRULE_EMULATE", "no_driver", 1);
  EXPECT_MENTIONS(reason_of(stand_in("emulated")), "driver version is insufficient");
  setenv("CHAINRULE_EMULATE", "no_device", 1);
  EXPECT_MENTIONS(reason_of(stand_in("emulated")), "reports no device");
  setenv("CHAINRULE_EMULATE", "old", 1);
  EXPECT_MENTIONS(reason_of(stand_in("emulated")), "got compute capability 7.5, expected 8.0");
}

TEST_F(Plugin, FailuresAreErrors) {
  use(stand_in("failing"));
  ASSERT_TRUE(cuda::status().available) << cuda::status().reason;
  EXPECT_EQ(cuda::status().reason, "");
  EXPECT_EQ(cuda::device_count(), 1);
  EXPECT_EQ(cuda::device_name(0), "fake");
  EXPECT_THROW(cuda::rule_compiler(), DeviceError);
  EXPECT_THROW(cuda::products(), DeviceError);
  EXPECT_THROW(cuda::require_products(0), DeviceError);
  EXPECT_THROW(cuda::memory_info(0), DeviceError);
  EXPECT_THROW(cuda::release_cached(0), DeviceError);
  EXPECT_THROW(cuda::synchronize(0), DeviceError);
  EXPECT_THROW(Array({2}, Dtype::float32, {DeviceKind::cuda, 0}), DeviceError);
  for (int index : {-1, 1, 1000}) {
    try {
      cuda::require(index);
      ADD_FAILURE() << index;
    } catch (const DeviceError& error) {
      EXPECT_MENTIONS(error.what(), "got cuda:" + std::to_string(index) + ", expected cuda:0");
    }
  }
}

TEST_F(Plugin, AMissingKernelIsNamed) {
  use(stand_in("failing"));
  ASSERT_TRUE(cuda::status().available);
  const auto* add = static_cast<const ElementwiseKernel*>(KernelBase::find("add"));
  try {
    add->get({DeviceKind::cuda, 0}, Dtype::float32);
    FAIL();
  } catch (const NotSupportedError& error) {
    EXPECT_MENTIONS(error.what(), "[add] no kernel: got cuda:0 float32, expected one of: cpu");
  }
}

TEST_F(Plugin, IsLookedForOnce) {
  use("/nowhere/libchainrule_cuda.so");
  const std::string reason = cuda::status().reason;
  setenv("CHAINRULE_CUDA_PLUGIN", stand_in("failing").c_str(), 1);
  EXPECT_EQ(cuda::status().reason, reason);
  cuda::forget_plugin();
  EXPECT_TRUE(cuda::status().available);
}

TEST_F(Plugin, ManyThreadsMayAskAtOnce) {
  use(stand_in("emulated"));
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const Array x({16}, Dtype::float32, {DeviceKind::cuda, 0});
      good += cuda::status().available && x.raw() != nullptr;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8);
}

TEST_F(Plugin, DoesNotSurviveAFork) {
  use(stand_in("emulated"));
  ASSERT_TRUE(cuda::status().available);
  const pid_t child = fork();
  if (child == 0) {
    const cuda::Status status = cuda::status();
    bool thrown = false;
    try {
      cuda::require(0);
    } catch (const DeviceError&) {
      thrown = true;
    }
    _exit(!status.available && status.reason.find("fork") != std::string::npos && thrown ? 0 : 1);
  }
  int outcome = -1;
  ASSERT_EQ(waitpid(child, &outcome, 0), child);
  EXPECT_EQ(outcome, 0);
  EXPECT_TRUE(cuda::status().available);
}

}  // namespace
}  // namespace chainrule
