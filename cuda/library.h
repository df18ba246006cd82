#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>
#include <vector>

// Libraries of NVIDIA's that are opened at run time and need not be there.
namespace chainrule::cuda {

struct Library {
  void* handle = nullptr;
  std::string name;                 // the file, as it was asked for
  std::vector<std::string> looked;  // without a handle: where it was not, with what the loader said
};

// What is told of one: file and version; empty where there is none, and then `problem` says why.
struct OpenedLibrary {
  std::string name;
  std::string problem;
};

// The first that can be opened: the file that an environment variable names, and no other; or
// `files` by their bare names, which finds one that this process uses already; or `beside` this
// package, where pip puts them; or `files` of the toolkit.
Library open_library(const char* variable,
                     std::initializer_list<const char*> files,
                     std::initializer_list<const char*> beside);

// The file that a function of a library lies in; empty where nobody knows.
std::string file_of(const void* function);

template <class F>
bool find(const Library& library, const char* symbol, F& function) {
  function = reinterpret_cast<F>(dlsym(library.handle, symbol));
  return function != nullptr;
}

}  // namespace chainrule::cuda
