#include "traced_kernels.h"

#include <iterator>
#include <mutex>
#include <string>
#include <unordered_map>

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
  const int head[] = {program.length,
                      program.register_count,
                      program.coef_count,
                      program.constant_count,
                      program.state_count,
                      is_double,
                      observed,
                      capability};
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

// Throws a Failure.
UpdateKernel load(const std::string& code) {
  cudaLibrary_t library = nullptr;
  check(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "loading a compiled rule");
  cudaKernel_t kernel = nullptr;
  const cudaError_t error = cudaLibraryGetKernel(&kernel, library, kTracedKernel);
  if (error != cudaSuccess) cudaLibraryUnload(library);
  check(error, "looking for a compiled rule's kernel");
  // What launches a kernel takes a handle in the place of a function.
  return reinterpret_cast<UpdateKernel>(kernel);
}

struct Kernels {
  std::mutex mutex;
  std::unordered_map<std::string, UpdateKernel> of;
  std::string problem;  // the last one's
};

Kernels& kernels() {
  static Kernels all;
  return all;
}

UpdateKernel make(const std::string& source, int capability, std::string& problem) {
  const Compiled compiled = compile(source, capability);
  problem = compiled.problem;
  if (!problem.empty()) return nullptr;
  try {
    return load(compiled.code);
  } catch (const Failure& failure) {
    problem = failure.text;
    return nullptr;
  }
}

}  // namespace

UpdateKernel traced_kernel(const update::TracedProgram& program,
                           bool is_double,
                           bool observed,
                           int device) {
  if (!compiler_state().problem.empty()) return nullptr;
  const int capability = capability_of(device);
  const std::string key = key_of(program, is_double, observed, capability);
  Kernels& all = kernels();
  // Held while compiling: others most likely want the same kernel.
  const std::lock_guard lock(all.mutex);
  const auto found = all.of.find(key);
  if (found != all.of.end()) return found->second;
  if (all.of.size() >= kMostKernels) {
    all.problem =
        cat("more than ", kMostKernels, " different rules: the later ones are interpreted");
    return nullptr;
  }
  std::string problem;
  const UpdateKernel kernel =
      make(traced_source(program, is_double, observed), capability, problem);
  if (!kernel) all.problem = problem;
  all.of.emplace(key, kernel);
  return kernel;
}

OpenedLibrary traced_state() {
  OpenedLibrary out = compiler_state();
  Kernels& all = kernels();
  const std::lock_guard lock(all.mutex);
  if (out.problem.empty()) out.problem = all.problem;
  return out;
}

}  // namespace chainrule::cuda
