#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

namespace chainrule::python {

// Lets other Python threads run while native code works; not for work so small that handing
// the lock over costs more than the work.
class ReleaseGil {
 public:
  explicit ReleaseGil(std::int64_t elements = INT64_MAX) {
    if (elements <= kWorthwhile) return;
    ++active_;
    state_ = PyEval_SaveThread();
  }
  ~ReleaseGil() {
    if (!state_) return;
    PyEval_RestoreThread(state_);
    --active_;
  }
  // How many there are; changes only with the lock held.
  static int active() { return active_; }
  ReleaseGil(const ReleaseGil&) = delete;
  ReleaseGil& operator=(const ReleaseGil&) = delete;

 private:
  static constexpr std::int64_t kWorthwhile = 8192;
  static inline int active_ = 0;
  PyThreadState* state_ = nullptr;
};

// Takes the lock if this thread does not hold it; cheap where it does.
class HoldGil {
 public:
  HoldGil() : state_(PyGILState_Ensure()) {}
  ~HoldGil() { PyGILState_Release(state_); }
  HoldGil(const HoldGil&) = delete;
  HoldGil& operator=(const HoldGil&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace chainrule::python
