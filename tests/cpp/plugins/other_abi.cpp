#include "fake.h"

// From a time when the table was another: nothing but the stamp can be trusted.
FAKE_PLUGIN(t.stamp = (chainrule::PluginStamp{999, 8, 7, nullptr}))
