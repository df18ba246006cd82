#include "chainrule/backend/transfer.h"

#include "chainrule/backend/elementwise.h"
#include "chainrule/core/memory.h"

namespace chainrule {

Array to_device(const Array& x, Device device) {
  if (x.device() == device) return x;
  const Array source = as_contiguous(x);
  Array out(x.shape(), x.dtype(), device);
  const DeviceKind kind = device.kind != DeviceKind::cpu ? device.kind : x.device().kind;
  if (x.size() != 0) {
    device_memory(kind).copy(out.raw(), device, source.raw(), x.device(), x.nbytes());
  }
  return out;
}

}  // namespace chainrule
