#include "fake.h"

// The same version with a struct changed: a half-finished build.
FAKE_PLUGIN(t.stamp.layout ^= 1)
