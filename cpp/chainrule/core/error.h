#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "chainrule/core/api.h"

// Every error a user can cause is one of these; the bindings map each to the Python exception
// of the same name. Messages read `[op] what was wrong: got X, expected Y`.
namespace chainrule {

struct CHAINRULE_API Error : std::runtime_error {
  using std::runtime_error::runtime_error;
  ~Error() override;
};

#define CHAINRULE_ERROR(Name)         \
  struct CHAINRULE_API Name : Error { \
    using Error::Error;               \
    ~Name() override;                 \
  }

CHAINRULE_ERROR(TypeError);
CHAINRULE_ERROR(ValueError);
CHAINRULE_ERROR(IndexError);
CHAINRULE_ERROR(KeyError);
CHAINRULE_ERROR(AttributeError);
CHAINRULE_ERROR(NotSupportedError);
CHAINRULE_ERROR(OutOfMemoryError);
CHAINRULE_ERROR(DeviceError);

#undef CHAINRULE_ERROR

// Joins its arguments into one string, as `print` would without spaces.
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

}  // namespace chainrule
