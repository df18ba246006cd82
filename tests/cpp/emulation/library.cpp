#include <dlfcn.h>

#include "emulation.h"

// Kernels that were compiled at run time: their code is the path of a shared library.

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library,
                                const void* code,
                                cudaJitOption*,
                                void**,
                                unsigned,
                                cudaLibraryOption*,
                                void**,
                                unsigned) {
  const char* path = static_cast<const char*>(code);
  if (path[0] != '/') return emulated_error(cudaErrorInvalidValue);  // of a real compiler
  *library = static_cast<cudaLibrary_t>(dlopen(path, RTLD_NOW | RTLD_LOCAL));
  return *library ? cudaSuccess : emulated_error(cudaErrorInvalidValue);
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  *kernel = static_cast<cudaKernel_t>(dlsym(library, name));
  return *kernel ? cudaSuccess : emulated_error(cudaErrorInvalidValue);
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  dlclose(library);
  return cudaSuccess;
}
