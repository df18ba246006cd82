#include <cstdio>
#include <exception>

#include "cublas.h"
#include "kernels/kernels.h"
#include "kernels/traced_kernels.h"
#include "runtime.h"

// The door of the plug-in: C functions that catch everything, and the table that names them.
namespace chainrule::cuda {
namespace {

std::string& error_text() {
  thread_local std::string text;
  return text;
}

template <class F>
PluginStatus guarded(const F& f) {
  try {
    f();
    return kPluginOk;
  } catch (const Failure& failure) {
    error_text() = failure.text;
    return failure.status;
  } catch (const std::exception& error) {
    error_text() = error.what();
  } catch (...) {
    error_text() = "[cuda] unknown failure";
  }
  return kPluginError;
}

// The oldest compute capability that kernels were compiled for, 10 times: sm_80 gives 80.
constexpr int oldest_capability() {
#if defined(__CUDA_ARCH_LIST__)
  constexpr int built[] = {__CUDA_ARCH_LIST__};
  int oldest = built[0];
  for (int capability : built) oldest = capability < oldest ? capability : oldest;
  return oldest / 10;
#else
  return 80;
#endif
}

int attribute(int index, cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index), "asking about a device");
  return value;
}

std::string name_of(int index) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "asking about a device");
  return properties.name;
}

const char* last_error() { return error_text().c_str(); }

PluginStatus device_count(int* count) {
  return guarded([&] {
    const cudaError_t error = cudaGetDeviceCount(count);
    if (error == cudaErrorNoDevice) {
      cudaGetLastError();
      *count = 0;
      return;
    }
    check(error, "no usable driver");
  });
}

PluginStatus device_problem(int index, char* text, int size) {
  return guarded([&] {
    const int major = attribute(index, cudaDevAttrComputeCapabilityMajor);
    const int minor = attribute(index, cudaDevAttrComputeCapabilityMinor);
    constexpr int oldest = oldest_capability();
    std::string problem;
    if (10 * major + minor < oldest) {
      problem = cat("cuda:", index, " (", name_of(index), ") is too old: got compute capability ",
                    major, ".", minor, ", expected ", oldest / 10, ".", oldest % 10, " or newer");
    } else if (attribute(index, cudaDevAttrComputeMode) == cudaComputeModeProhibited) {
      problem = cat("cuda:", index, " (", name_of(index), ") is in compute mode 'prohibited'");
    }
    std::snprintf(text, static_cast<std::size_t>(size), "%s", problem.c_str());
  });
}

PluginStatus device_name(int index, char* text, int size) {
  return guarded(
      [&] { std::snprintf(text, static_cast<std::size_t>(size), "%s", name_of(index).c_str()); });
}

void tell(const OpenedLibrary& state, char* name, char* problem, int size) {
  std::snprintf(name, static_cast<std::size_t>(size), "%s", state.name.c_str());
  std::snprintf(problem, static_cast<std::size_t>(size), "%s", state.problem.c_str());
}

PluginStatus rule_compiler(char* name, char* problem, int size) {
  return guarded([&] { tell(traced_state(), name, problem, size); });
}

PluginStatus products(char* name, char* problem, int size) {
  return guarded([&] { tell(cublas_state(), name, problem, size); });
}

constexpr PluginTable kTable = {
    .stamp = {kPluginAbi, sizeof(PluginTable), plugin_layout(), CHAINRULE_VERSION},
    .last_error = last_error,
    .device_count = device_count,
    .device_problem = device_problem,
    .device_name = device_name,
    .rule_compiler = rule_compiler,
    .products = products,
    .require_products = [](int index) { return guarded([&] { require_cublas(index); }); },
    .kernels = register_kernels,
    .allocate = [](int index,
                   std::int64_t bytes,
                   void** data) { return guarded([&] { *data = allocate(index, bytes); }); },
    .release = [](int index, void* data) { return guarded([&] { release(index, data); }); },
    .copy =
        [](void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes) {
          return guarded([&] { copy(to, to_device, from, from_device, bytes); });
        },
    .synchronize = [](int index) { return guarded([&] { synchronize(index); }); },
    .memory_info =
        [](int index, PluginMemoryInfo* info) {
          return guarded([&] { *info = memory_info(index); });
        },
    .release_cached = [](int index) { return guarded([&] { release_cached(index); }); },
    .stream = [](int) -> void* { return stream(); },
    .stream_wait =
        [](int index, void* waiter, void* awaited) {
          return guarded([&] { stream_wait(index, waiter, awaited); });
        },
    .drain = [](int index, bool everybody) { return guarded([&] { drain(index, everybody); }); },
    .memory_device = [](const void* data,
                        int* index) { return guarded([&] { *index = memory_device(data); }); },
};

}  // namespace
}  // namespace chainrule::cuda

extern "C" __attribute__((visibility("default"))) const chainrule::PluginTable*
chainrule_cuda_plugin() {
  return &chainrule::cuda::kTable;
}
