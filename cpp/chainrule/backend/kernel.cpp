#include "chainrule/backend/kernel.h"

#include <mutex>
#include <string>
#include <unordered_map>

#include "chainrule/backend/cpu/register.h"

namespace chainrule {
namespace {

std::unordered_map<std::string_view, KernelBase*>& kernels() {
  static auto* all = new std::unordered_map<std::string_view, KernelBase*>;
  return *all;
}

}  // namespace

KernelBase::KernelBase(const char* name) : name_(name) {
  if (!kernels().emplace(name, this).second) {
    throw Error(cat("[kernel] two kernels of one name: ", name));
  }
}

KernelBase* KernelBase::find(const char* name) {
  const auto found = kernels().find(name);
  return found == kernels().end() ? nullptr : found->second;
}

std::vector<KernelBase*> KernelBase::all() {
  std::vector<KernelBase*> found;
  for (const auto& [name, kernel] : kernels()) found.push_back(kernel);
  return found;
}

void* KernelBase::resolve(Device device, int column) const {
  initialize_kernels();
  if (void* function = functions_[static_cast<int>(device.kind)][column]) return function;
  std::string present;
  for (int kind = 0; kind < kDeviceKindCount; ++kind) {
    for (int i = 0; i < kDtypeCount; ++i) {
      if (!functions_[kind][i]) continue;
      if (!present.empty()) present += ", ";
      present += cat(kind == 0 ? "cpu " : "cuda ", static_cast<Dtype>(i));
    }
  }
  throw NotSupportedError(cat("[", name_, "] no kernel: got ", device, " ",
                              static_cast<Dtype>(column),
                              ", expected one of: ", present.empty() ? "(none)" : present));
}

void initialize_kernels() {
  static std::once_flag once;
  std::call_once(once, cpu::register_kernels);
}

}  // namespace chainrule
