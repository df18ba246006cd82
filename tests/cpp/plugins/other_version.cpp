#include "fake.h"

// Built from the sources of another release.
FAKE_PLUGIN(t.stamp.version = "0.0.1")
