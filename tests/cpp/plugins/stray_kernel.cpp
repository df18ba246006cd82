#include "fake.h"

// A kernel that the library has no slot for.
FAKE_PLUGIN(t.kernels = [](chainrule::KernelRegistrar add) {
  add("fill", 0, reinterpret_cast<void*>(1));
  add("fly_to_the_moon", 0, reinterpret_cast<void*>(1));
})
