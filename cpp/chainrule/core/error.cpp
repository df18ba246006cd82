#include "chainrule/core/error.h"

// Out-of-line destructors give each class one home for its type information, so that an
// exception thrown in the plug-in is caught by type in the bindings.
namespace chainrule {

Error::~Error() = default;
TypeError::~TypeError() = default;
ValueError::~ValueError() = default;
IndexError::~IndexError() = default;
KeyError::~KeyError() = default;
AttributeError::~AttributeError() = default;
NotSupportedError::~NotSupportedError() = default;
OutOfMemoryError::~OutOfMemoryError() = default;
DeviceError::~DeviceError() = default;

}  // namespace chainrule
