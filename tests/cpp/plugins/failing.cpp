#include "fake.h"

// Starts well; whatever is then asked of it fails.
FAKE_PLUGIN()
