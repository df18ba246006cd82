#include "chainrule/autograd/mode.h"

#include <atomic>

namespace chainrule {
namespace {

std::atomic<bool> global_enabled{true};
thread_local signed char local_enabled = -1;  // -1: follow the global value

}  // namespace

bool backprop_enabled() {
  return local_enabled < 0 ? global_enabled.load(std::memory_order_relaxed) : local_enabled != 0;
}

void set_backprop_enabled(bool enabled) { local_enabled = enabled; }
void set_backprop_enabled_globally(bool enabled) { global_enabled = enabled; }
void clear_backprop_enabled() { local_enabled = -1; }

BackpropMode::BackpropMode(bool enabled) : previous_(local_enabled) { local_enabled = enabled; }
BackpropMode::~BackpropMode() { local_enabled = previous_; }

}  // namespace chainrule
