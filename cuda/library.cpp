#include "library.h"

#include <cstdlib>
#include <filesystem>

#include "chainrule/core/error.h"

namespace chainrule::cuda {
namespace {

// Every place it may lie in, the most wanted first.
std::vector<std::string> candidates(const char* variable,
                                    std::initializer_list<const char*> files,
                                    std::initializer_list<const char*> beside) {
  if (const char* chosen = std::getenv(variable)) return {chosen};
  std::vector<std::string> out(files.begin(), files.end());
  if (const std::string self = file_of(reinterpret_cast<const void*>(&open_library));
      !self.empty()) {
    const auto packages = std::filesystem::path(self).parent_path().parent_path();
    for (const char* file : beside) out.push_back((packages / file).string());
  }
  for (const char* file : files) out.push_back(cat("/usr/local/cuda/lib64/", file));
  return out;
}

}  // namespace

Library open_library(const char* variable,
                     std::initializer_list<const char*> files,
                     std::initializer_list<const char*> beside) {
  Library out;
  for (const std::string& file : candidates(variable, files, beside)) {
    if (file.empty()) continue;
    out.name = file;
    out.handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (out.handle) return out;
    const char* said = dlerror();
    // What is there and cannot be opened deserves more than its name.
    const bool there = std::filesystem::exists(file);
    out.looked.push_back(there && said ? cat(file, " (", said, ")") : file);
  }
  out.name.clear();
  return out;
}

std::string file_of(const void* function) {
  Dl_info info{};
  return dladdr(function, &info) && info.dli_fname ? info.dli_fname : "";
}

}  // namespace chainrule::cuda
