#include "fake.h"

// A device that is there and cannot be used.
FAKE_PLUGIN(t.device_problem = [](int, char* text, int size) {
  return chainrule::fake::fill_text("cuda:0 is made of cardboard", text, size);
})
