#pragma once

#include "chainrule/core/api.h"

namespace chainrule {

// Whether operations are recorded for backward. Per thread, with a default for all threads.
CHAINRULE_API bool backprop_enabled();
CHAINRULE_API void set_backprop_enabled(bool enabled);
CHAINRULE_API void set_backprop_enabled_globally(bool enabled);
CHAINRULE_API void clear_backprop_enabled();  // this thread follows the global value again

class CHAINRULE_API BackpropMode {
 public:
  explicit BackpropMode(bool enabled);
  ~BackpropMode();
  BackpropMode(const BackpropMode&) = delete;
  BackpropMode& operator=(const BackpropMode&) = delete;

 private:
  signed char previous_;
};

}  // namespace chainrule
