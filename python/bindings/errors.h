#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace chainrule::python {

// What errors call an object: its class.
std::string type_name(pybind11::handle object);

// Refuses an object whose __init__, which would have made the C++ object, has not run.
[[noreturn]] void throw_uninitialized(pybind11::handle type);

// Sets the Python error that stands for the C++ exception being handled. To be called inside
// a catch block.
void set_python_error();

void bind_errors(pybind11::module_& m);

// Runs f; a C++ exception becomes a Python error and `failure` is returned. For functions that
// Python calls directly, without pybind11 in between.
template <class R, class F>
R guarded(R failure, F&& f) {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return failure;
  }
}

}  // namespace chainrule::python
