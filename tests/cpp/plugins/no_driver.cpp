#include "fake.h"

// What the real one says when the driver is missing or its start fails in any other way.
FAKE_PLUGIN(t.device_count = [](int*) { return chainrule::kPluginError; })
