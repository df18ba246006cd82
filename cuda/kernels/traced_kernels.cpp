#include "traced_kernels.h"

#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

#include "../compiler.h"
#include "../runtime.h"
#include "traced_source.h"

namespace chainrule::cuda {
namespace {

// Kernels stay for ever: a program that makes rules in a loop is interpreted from here on.
constexpr std::size_t kMostKernels = 256;

template <class T>
void append(std::string& key, const T* values, int count) {
  key.append(reinterpret_cast<const char*>(values), static_cast<std::size_t>(count) * sizeof(T));
}

// All that the text depends on.
std::string key_of(const update::TracedProgram& program,
                   bool is_double,
                   bool observed,
                   int capability) {
  static_assert(sizeof(update::Instruction) == 5 + update::kMaxScalarOperands, "no padding");
  const int head[] = {program.length,         program.register_count, program.coef_count,
                      program.constant_count, program.state_count,    is_double,
                      observed,               capability};
  std::string key;
  append(key, head, static_cast<int>(std::size(head)));
  append(key, program.code, program.length);
  append(key, program.constants, program.constant_count);
  return key;
}

int capability_of(int device) {
  int major = 0;
  int minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking about a device");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "asking about a device");
  return 10 * major + minor;
}

UpdateKernel load(const std::string& code) {
  cudaLibrary_t library = nullptr;
  cudaKernel_t kernel = nullptr;
  if (cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0) !=
      cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  if (cudaLibraryGetKernel(&kernel, library, kTracedKernel) != cudaSuccess) {
    cudaGetLastError();
    cudaLibraryUnload(library);
    return nullptr;
  }
  // What launches a kernel takes a handle in the place of a function.
  return reinterpret_cast<UpdateKernel>(kernel);
}

}  // namespace

UpdateKernel traced_kernel(const update::TracedProgram& program,
                           bool is_double,
                           bool observed,
                           int device) {
  static std::mutex mutex;
  static std::unordered_map<std::string, UpdateKernel> kernels;
  if (!compiler_state().problem.empty()) return nullptr;
  const int capability = capability_of(device);
  const std::string key = key_of(program, is_double, observed, capability);
  // Held while compiling: others most likely want the same kernel.
  const std::lock_guard lock(mutex);
  const auto found = kernels.find(key);
  if (found != kernels.end()) return found->second;
  if (kernels.size() >= kMostKernels) return nullptr;
  const Compiled compiled = compile(traced_source(program, is_double, observed), capability);
  const UpdateKernel kernel = compiled.problem.empty() ? load(compiled.code) : nullptr;
  kernels.emplace(key, kernel);
  return kernel;
}

}  // namespace chainrule::cuda
