#include <dlfcn.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/plugin_abi.h"

namespace chainrule {
namespace {

// Kernels of the CPU that the plug-in does not have, by their names up to the first dot, their
// whole names, or name and type.
const std::map<std::string, std::string> kMissing = {
    {"gemm int32", "cuBLAS multiplies floating point numbers"},
    {"gemm int64", "cuBLAS multiplies floating point numbers"},
    {"gemm.tiny", "a part of the CPU's gemm"},
    {"gemm.thin", "a part of the CPU's gemm"},
    {"gemm.packed", "a part of the CPU's gemm"},
    {"gemm.blocking", "a part of the CPU's gemm"},
    {"scaled_sum", "reductions come with the ops for CUDA"},
    {"argmax", "reductions come with the ops for CUDA"},
    {"argmin", "reductions come with the ops for CUDA"},
    {"softmax", "reductions come with the ops for CUDA"},
    {"log_softmax", "reductions come with the ops for CUDA"},
    {"squared_error", "losses come with the ops for CUDA"},
    {"sigmoid_cross_entropy", "losses come with the ops for CUDA"},
    {"softmax_cross_entropy", "losses come with the ops for CUDA"},
    {"spread_labels", "losses come with the ops for CUDA"},
    {"check_labels", "losses come with the ops for CUDA"},
    {"accuracy", "losses come with the ops for CUDA"},
    {"take", "indexing comes with the ops for CUDA"},
    {"put_add", "indexing comes with the ops for CUDA"},
    {"dropout", "random numbers come with the ops for CUDA"},
};

// And those that it has alone.
const std::map<std::string, std::string> kAlone = {
    {"gemm float16", "the CPU multiplies copies in float32"},
    {"gemm bfloat16", "the CPU does where it has instructions for it"},
    {"normalize float32", "the CPU tells the host norms at no cost"},
    {"normalize float64", "the CPU tells the host norms at no cost"},
};

using Slots = std::set<std::pair<std::string, int>>;

Slots& collected() {
  static Slots slots;
  return slots;
}

// What a built plug-in has, without a look at any device.
Slots slots_of(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(library, nullptr) << dlerror();
  if (!library) return {};
  auto* entry = reinterpret_cast<PluginEntry*>(dlsym(library, kPluginSymbol));
  EXPECT_NE(entry, nullptr);
  if (!entry) return {};
  collected().clear();
  entry()->kernels([](const char* name, int column, void* function) {
    EXPECT_NE(function, nullptr) << name;
    EXPECT_TRUE(collected().emplace(name, column).second) << name << " " << column << " twice";
  });
  return collected();
}

std::string text(const std::pair<std::string, int>& slot) {
  return cat(slot.first, " ", static_cast<Dtype>(slot.second));
}

void expect_complete(const char* path) {
  initialize_kernels();
  const Slots there = slots_of(path);
  EXPECT_FALSE(there.empty());
  Slots here;
  std::set<std::string> used;
  for (const KernelBase* kernel : KernelBase::all()) {
    const std::string name = kernel->name();
    for (int column = 0; column < kDtypeCount; ++column) {
      if (!kernel->has(DeviceKind::cpu, column)) continue;
      here.emplace(name, column);
      auto missing = kMissing.end();
      for (const std::string& key : {text({name, column}), name, name.substr(0, name.find('.'))}) {
        if (missing == kMissing.end()) missing = kMissing.find(key);
      }
      const bool excused = missing != kMissing.end();
      if (excused) used.insert(missing->first);
      const bool present = there.count({name, column}) != 0;
      EXPECT_NE(present, excused) << text({name, column})
                                  << (present ? ": take it from kMissing"
                                              : ": a line in kMissing has to say why");
    }
  }
  for (const auto& slot : there) {
    EXPECT_TRUE(here.count(slot) || kAlone.count(text(slot))) << text(slot) << ": on CUDA alone";
  }
  for (const auto& [name, why] : kMissing) EXPECT_TRUE(used.count(name)) << name << ": " << why;
}

TEST(CudaPlugin, HasEveryKernelOfTheCpuOrSaysWhyNot) {
  expect_complete(CHAINRULE_TEST_PLUGINS "/emulated.so");
}

TEST(CudaPlugin, AsBuiltHasEveryKernelToo) {
#if defined(CHAINRULE_BUILT_PLUGIN)
  expect_complete(CHAINRULE_BUILT_PLUGIN);
#else
  GTEST_SKIP() << "this build is without CUDA";
#endif
}

}  // namespace
}  // namespace chainrule
