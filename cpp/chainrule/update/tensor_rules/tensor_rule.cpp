#include "chainrule/update/tensor_rules/tensor_rule.h"

#include <cstring>

#include "chainrule/backend/gemm.h"
#include "chainrule/core/error.h"

namespace chainrule {
namespace {

void require_products(Device device, const std::string& label, const char* name) {
  try {
    require_gemm(device);
  } catch (const DeviceError& error) {
    throw DeviceError(cat("[update] ", label, ": ", name, " multiplies matrices: ", error.what()));
  }
}

}  // namespace

void TensorRule::check_device(Device device, Dtype dtype, const std::string& label) const {
  if (device.kind == DeviceKind::cpu) return;
  for (const char* kernel : kernels) {
    const KernelBase* found = KernelBase::find(kernel);
    if (found && found->has(device.kind, static_cast<int>(dtype))) {
      if (std::strcmp(kernel, "gemm") == 0) require_products(device, label, name);
      continue;
    }
    throw NotSupportedError(cat("[update] ", label, ": ", name, " needs the operation '", kernel,
                                "' in ", dtype, ", which is not there yet: got a parameter on ",
                                device, ", expected one on the CPU"));
  }
}

const std::vector<const TensorRule*>& tensor_rules() {
  static const auto* all = new std::vector<const TensorRule*>{&kMuon, &kAdafactor, &kSoap};
  return *all;
}

}  // namespace chainrule
