#pragma once

// Marks what libchainrule.so exports; everything else is hidden.
#if defined(CHAINRULE_BUILDING)
#define CHAINRULE_API __attribute__((visibility("default")))
#else
#define CHAINRULE_API
#endif
