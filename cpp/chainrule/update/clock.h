#pragma once

#include <cstdint>

#include "chainrule/core/ref.h"

namespace chainrule {

// The count of an optimizer's updates, shared with the rules that it updates.
class Clock : public RefCounted {
 public:
  std::int64_t t = 0;  // updates so far; one that is on its way counts from `begin` on

  // Updates done before the present or next one: what expressions are evaluated at.
  std::int64_t step() const { return running_ ? t - 1 : t; }

  void begin() {
    ++t;
    running_ = true;
  }
  void end() { running_ = false; }

 private:
  bool running_ = false;
};

}  // namespace chainrule
