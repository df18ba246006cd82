#include <cstdint>
#include <numeric>

#include "../support.h"
#include "chainrule/core/error.h"
#include "device_test.h"

namespace chainrule::testing {
namespace {

class CudaMemory : public CudaTest {};

TEST_F(CudaMemory, GoesThereAndBack) {
  for (std::int64_t n : {0, 1, 5, 4096, 100003}) {
    Array x({n}, Dtype::int64);
    std::iota(x.data<std::int64_t>(), x.data<std::int64_t>() + n, 7);
    const Array there = to_device(x, kCuda);
    EXPECT_EQ(there.device(), kCuda);
    EXPECT_EQ(values(to_device(there, {})), values(x)) << n;
  }
}

TEST_F(CudaMemory, BringsAnyLayout) {
  const Array x = array({0, 1, 2, 3, 4, 5}).view({2, 3}, {24, 8});
  const Array turned = x.transposed({1, 0});
  EXPECT_EQ(values(to_device(to_device(turned, kCuda), {})),
            (std::vector<double>{0, 3, 1, 4, 2, 5}));
  const Array turned_there = to_device(x, kCuda).transposed({1, 0});
  const Array back = to_device(turned_there, {});
  EXPECT_TRUE(back.is_contiguous());
  EXPECT_EQ(values(back), (std::vector<double>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(to_device(x, {}).raw(), x.raw()) << "nothing to do";
}

TEST_F(CudaMemory, GoesFromDeviceToDevice) {
  const Device second{DeviceKind::cuda, 1};
  if (cuda::device_count() < 2) GTEST_SKIP() << "there is one device";
  const Array x = array({1, 2, 3});
  const Array there = to_device(to_device(x, kCuda), second);
  EXPECT_EQ(there.device(), second);
  // Kernels run where the arrays are.
  fill(there.view({1}, {8}, 8), 9);
  EXPECT_EQ(values(to_device(to_device(there, kCuda), {})), (std::vector<double>{1, 9, 3}));
  EXPECT_THROW(copy_into(there, to_device(x, kCuda)), TypeError);
}

TEST_F(CudaMemory, IsCountedAndReturned) {
  const auto before = cuda::memory_info(0);
  EXPECT_GT(before.total, 0);
  EXPECT_LE(before.free, before.total);
  {
    const Array x({1 << 20}, Dtype::float32, kCuda);
    EXPECT_GE(cuda::memory_info(0).in_use, before.in_use + (4 << 20));
  }
  cuda::synchronize(0);
  EXPECT_EQ(cuda::memory_info(0).in_use, before.in_use);
  EXPECT_GE(cuda::memory_info(0).cached, 4 << 20);
  const std::int64_t cached = cuda::memory_info(0).cached;
  cuda::release_cached(0);
  // A driver keeps whole pages of which a part is in use.
  EXPECT_LE(cuda::memory_info(0).cached, emulated_ ? 0 : cached);
}

TEST_F(CudaMemory, RunsOutWithAnErrorThatSaysHowMuch) {
  const std::int64_t total = cuda::memory_info(0).total;
  try {
    Array({2 * total}, Dtype::uint8, kCuda);
    FAIL();
  } catch (const OutOfMemoryError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("[memory] out of memory on cuda:0: "), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(2 * total)), std::string::npos) << text;
  }
  EXPECT_EQ(values(to_device(to_device(array({1, 2}), kCuda), {})), (std::vector<double>{1, 2}));
}

TEST_F(CudaMemory, StreamsWaitForEachOther) {
  const Array x = to_device(array({1, 2, 3}), kCuda);
  void* const own = cuda::stream(0);
  void* const legacy = reinterpret_cast<void*>(1);
  void* const thread = reinterpret_cast<void*>(2);
  for (void* other : {own, legacy, thread}) {
    cuda::stream_wait(0, other, own);
    cuda::stream_wait(0, own, other);
  }
  fill(x, 5);
  cuda::stream_wait(0, thread, own);
  cuda::drain(0, false);
  cuda::drain(0, true);
  EXPECT_EQ(values(to_device(x, {})), (std::vector<double>{5, 5, 5}));
  EXPECT_THROW(cuda::stream_wait(99, own, own), DeviceError);
  EXPECT_THROW(cuda::drain(99, false), DeviceError);
}

TEST_F(CudaMemory, KnowsWhereMemoryLies) {
  const Array x = to_device(array({1, 2, 3}), kCuda);
  EXPECT_EQ(cuda::memory_device(x.raw()), 0);
  EXPECT_EQ(cuda::memory_device(x.raw() + 8), 0);
  EXPECT_EQ(cuda::memory_device(array({1}).raw()), -1);
  if (cuda::device_count() < 2) GTEST_SKIP() << "there is one device";
  EXPECT_EQ(cuda::memory_device(to_device(x, {DeviceKind::cuda, 1}).raw()), 1);
}

TEST_F(CudaMemory, DrainingLeavesFailuresToBeReported) {
  if (!emulated_) GTEST_SKIP() << "a GPU cannot be told to fail";
  const Array x = to_device(array({1, 2}), kCuda);
  setenv("CHAINRULE_EMULATE", "no_launch", 1);
  fill(x, 3);
  unsetenv("CHAINRULE_EMULATE");
  cuda::drain(0, false);
  cuda::drain(0, true);
  EXPECT_THROW(cuda::synchronize(0), DeviceError);
}

TEST_F(CudaMemory, AKernelThatDoesNotStartIsReportedByTheNextCopy) {
  if (!emulated_) GTEST_SKIP() << "a GPU cannot be told to fail";
  const Array x = to_device(array({1, 2}), kCuda);
  setenv("CHAINRULE_EMULATE", "no_launch", 1);
  fill(x, 3);
  unsetenv("CHAINRULE_EMULATE");
  try {
    to_device(x, {});
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("could not be started"), std::string::npos);
  }
  EXPECT_EQ(values(to_device(x, {})), (std::vector<double>{1, 2})) << "reported once";
  cuda::synchronize(0);
}

}  // namespace
}  // namespace chainrule::testing
