#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

// Stands for NVRTC where kernels are emulated (tests/cpp/emulation): compiles them with the host's
// compiler, into a shared library whose path is the code.
struct NvrtcProgram {
  std::string source;
  std::string code;
  std::string log;
};

namespace {

constexpr int kCompilationError = 6;
int compiled = 0;

std::filesystem::path new_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "chainrule_XXXXXX").string();
  return mkdtemp(name.data());
}

int put(const std::string& text, char* to) {
  std::memcpy(to, text.c_str(), text.size() + 1);
  return 0;
}
int measure(const std::string& text, std::size_t* size) {
  *size = text.size() + 1;
  return 0;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// How often it did its work, for tests to ask.
EXPORT int host_compiler_count() { return compiled; }

EXPORT int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
EXPORT const char* nvrtcGetErrorString(int) { return "the host's compiler failed"; }
EXPORT int nvrtcGetNumSupportedArchs(int* count) {
  *count = 1;
  return 0;
}
EXPORT int nvrtcGetSupportedArchs(int* capabilities) {
  capabilities[0] = 90;
  return 0;
}
EXPORT int nvrtcCreateProgram(NvrtcProgram** program,
                              const char* source,
                              const char*,
                              int,
                              const char* const*,
                              const char* const*) {
  *program = new NvrtcProgram{source, {}, {}};
  return 0;
}
EXPORT int nvrtcDestroyProgram(NvrtcProgram** program) {
  delete *program;
  return 0;
}
EXPORT int nvrtcCompileProgram(NvrtcProgram* program, int, const char* const*) {
  const auto folder = new_folder();
  std::ofstream(folder / "rule.cpp") << program->source;
  // Kernels ask the plug-in for threadIdx and the like.
  // The headers of the host's compiler serve instead of those given.
  const char* other = std::getenv("CHAINRULE_TEST_CXX");
  const std::string command =
      std::string(other ? other : CHAINRULE_TEST_CXX) +
      " -std=c++20 -O1 -shared -fPIC -w -include cuda_runtime.h -I " + CHAINRULE_TEST_SOURCE +
      "/tests/cpp/emulation -I " + CHAINRULE_TEST_SOURCE + "/cuda/kernels -I " +
      CHAINRULE_TEST_SOURCE + "/cpp " + (folder / "rule.cpp").string() + " -o " +
      (folder / "rule.so").string() + " " + std::getenv("CHAINRULE_CUDA_PLUGIN") + " 2> " +
      (folder / "log").string();
  const bool failed = std::system(command.c_str()) != 0;
  std::ifstream log(folder / "log");
  program->log.assign(std::istreambuf_iterator<char>(log), {});
  if (failed && !other) std::fprintf(stderr, "%s\n%s\n", command.c_str(), program->log.c_str());
  program->code = (folder / "rule.so").string();
  ++compiled;
  return failed ? kCompilationError : 0;
}
EXPORT int nvrtcGetProgramLogSize(NvrtcProgram* p, std::size_t* size) {
  return measure(p->log, size);
}
EXPORT int nvrtcGetProgramLog(NvrtcProgram* p, char* text) { return put(p->log, text); }
EXPORT int nvrtcGetCUBINSize(NvrtcProgram* p, std::size_t* size) { return measure(p->code, size); }
EXPORT int nvrtcGetCUBIN(NvrtcProgram* p, char* code) { return put(p->code, code); }
EXPORT int nvrtcGetPTXSize(NvrtcProgram* p, std::size_t* size) { return measure(p->code, size); }
EXPORT int nvrtcGetPTX(NvrtcProgram* p, char* code) { return put(p->code, code); }
