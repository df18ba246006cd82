#include "compiler.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "chainrule/core/error.h"
#include "device_headers.h"

namespace chainrule::cuda {
namespace {

// As nvrtc.h has them, in every version: no header of the toolkit is needed.
using Program = struct NvrtcProgram*;
struct Nvrtc {
  int (*version)(int* major, int* minor);
  const char* (*error_text)(int error);
  int (*supported_count)(int* count);
  int (*supported)(int* capabilities);
  int (*create)(Program* program,
                const char* source,
                const char* name,
                int header_count,
                const char* const* headers,
                const char* const* include_names);
  int (*destroy)(Program* program);
  int (*compile)(Program program, int option_count, const char* const* options);
  int (*log_size)(Program program, std::size_t* size);
  int (*log)(Program program, char* text);
  int (*cubin_size)(Program program, std::size_t* size);
  int (*cubin)(Program program, char* code);
  int (*ptx_size)(Program program, std::size_t* size);
  int (*ptx)(Program program, char* code);

  OpenedLibrary state;
};

// NVRTC opens a second library by its bare name, which is found if it is open already.
void open_builtins(const Nvrtc& nvrtc, int major, int minor) {
  const std::string self = file_of(reinterpret_cast<const void*>(nvrtc.compile));
  if (self.empty()) return;
  const auto folder = std::filesystem::path(self).parent_path();
  const std::string file = cat("libnvrtc-builtins.so.", major, ".", minor);
  dlopen((folder / file).c_str(), RTLD_NOW | RTLD_LOCAL);
}

Nvrtc open_nvrtc() {
  Nvrtc out{};
  const Library library =
      open_library("CHAINRULE_NVRTC", {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"},
                   {"nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"});
  if (!library.handle) {
    out.state.problem =
        "NVRTC was not found: install nvidia-cuda-nvrtc, or set CHAINRULE_NVRTC to libnvrtc.so";
    return out;
  }
  const bool complete = find(library, "nvrtcVersion", out.version) &&
                        find(library, "nvrtcGetErrorString", out.error_text) &&
                        find(library, "nvrtcGetNumSupportedArchs", out.supported_count) &&
                        find(library, "nvrtcGetSupportedArchs", out.supported) &&
                        find(library, "nvrtcCreateProgram", out.create) &&
                        find(library, "nvrtcDestroyProgram", out.destroy) &&
                        find(library, "nvrtcCompileProgram", out.compile) &&
                        find(library, "nvrtcGetProgramLogSize", out.log_size) &&
                        find(library, "nvrtcGetProgramLog", out.log) &&
                        find(library, "nvrtcGetCUBINSize", out.cubin_size) &&
                        find(library, "nvrtcGetCUBIN", out.cubin) &&
                        find(library, "nvrtcGetPTXSize", out.ptx_size) &&
                        find(library, "nvrtcGetPTX", out.ptx);
  int major = 0;
  int minor = 0;
  if (!complete || out.version(&major, &minor) != 0 || major < 12) {
    out.state.problem = cat(library.name, " is too old, expected NVRTC 12.0 or newer");
    return out;
  }
  open_builtins(out, major, minor);
  out.state.name = cat(library.name, " ", major, ".", minor);
  return out;
}

const Nvrtc& nvrtc() {
  static const Nvrtc opened = open_nvrtc();
  return opened;
}

// Machine code where NVRTC knows the device, otherwise PTX of the newest it knows.
std::string architecture(const Nvrtc& lib, int capability, bool& machine_code) {
  int count = 0;
  lib.supported_count(&count);
  std::vector<int> all(static_cast<std::size_t>(count));
  if (count) lib.supported(all.data());
  machine_code = std::find(all.begin(), all.end(), capability) != all.end();
  int newest = 0;
  for (const int known : all) {
    if (known <= capability) newest = std::max(newest, known);
  }
  return machine_code ? cat("-arch=sm_", capability) : cat("-arch=compute_", newest);
}

template <class Size, class Read>
std::string read(Program program, const Size& size_of, const Read& read_into) {
  std::size_t size = 0;
  if (size_of(program, &size) != 0) return {};
  std::string out(size, '\0');
  if (size && read_into(program, out.data()) != 0) return {};
  return out;
}

}  // namespace

OpenedLibrary compiler_state() { return nvrtc().state; }

Compiled compile(const std::string& source, int capability) {
  const Nvrtc& lib = nvrtc();
  if (!lib.state.problem.empty()) return {{}, lib.state.problem};
  std::vector<const char*> names;
  std::vector<const char*> texts;
  for (const DeviceHeader& header : device_headers()) {
    names.push_back(header.name);
    texts.push_back(header.text);
  }
  Program program = nullptr;
  int error = lib.create(&program, source.c_str(), "traced_rule.cu", static_cast<int>(names.size()),
                         texts.data(), names.data());
  if (error != 0) return {{}, cat("NVRTC: ", lib.error_text(error))};
  bool machine_code = false;
  const std::string arch = architecture(lib, capability, machine_code);
  const char* const options[] = {arch.c_str(), "-std=c++20", "-ftz=true", "-default-device",
                                 "--pre-include=builtins.h"};
  Compiled out;
  error = lib.compile(program, static_cast<int>(std::size(options)), options);
  if (error != 0) {
    out.problem =
        cat("NVRTC: ", lib.error_text(error), "\n", read(program, lib.log_size, lib.log).c_str());
  } else {
    out.code = machine_code ? read(program, lib.cubin_size, lib.cubin)
                            : read(program, lib.ptx_size, lib.ptx);
    if (out.code.empty()) out.problem = "NVRTC: it made no code";
  }
  lib.destroy(&program);
  return out;
}

}  // namespace chainrule::cuda
