#include "chainrule/backend/cpu/register.h"

#include <cstdlib>

#include "chainrule/backend/cpu/gemm.h"
#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/kernel.h"

namespace chainrule::cpu {

namespace baseline {
CHAINRULE_KERNEL_FILES(CHAINRULE_DECLARE_KERNELS)
static void register_all(KernelRegistrar add) { CHAINRULE_KERNEL_FILES(CHAINRULE_REGISTER_KERNELS) }
}  // namespace baseline

#if defined(CHAINRULE_HAVE_AVX2)
namespace avx2 {
CHAINRULE_KERNEL_FILES(CHAINRULE_DECLARE_KERNELS)
static void register_all(KernelRegistrar add) { CHAINRULE_KERNEL_FILES(CHAINRULE_REGISTER_KERNELS) }
}  // namespace avx2
#endif

#if defined(CHAINRULE_HAVE_AVX512)
namespace avx512 {
CHAINRULE_KERNEL_FILES(CHAINRULE_DECLARE_KERNELS)
static void register_all(KernelRegistrar add) { CHAINRULE_KERNEL_FILES(CHAINRULE_REGISTER_KERNELS) }
}  // namespace avx512
#endif

namespace {

enum class Isa { baseline, avx2, avx512 };

// The best of what is compiled, what the processor knows, and what the environment allows.
Isa choose() {
  Isa limit = Isa::avx512;
  if (const char* wanted = std::getenv("CHAINRULE_CPU_ISA")) {
    const std::string_view name = wanted;
    limit = name == "baseline" ? Isa::baseline : name == "avx2" ? Isa::avx2 : limit;
  }
#if defined(CHAINRULE_HAVE_AVX512)
  if (limit >= Isa::avx512 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return Isa::avx512;
  }
#endif
#if defined(CHAINRULE_HAVE_AVX2)
  if (limit >= Isa::avx2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return Isa::avx2;
  }
#endif
  static_cast<void>(limit);
  return Isa::baseline;
}

Isa chosen() {
  static const Isa isa = choose();
  return isa;
}

void add(const char* name, int column, void* function) {
  KernelBase* kernel = KernelBase::find(name);
  if (!kernel) throw Error(cat("[kernel] the CPU provides a kernel nobody asks for: ", name));
  kernel->set(DeviceKind::cpu, column, function);
}

}  // namespace

void register_kernels() {
  add_gemm(add);
  baseline::register_all(add);
#if defined(CHAINRULE_HAVE_AVX2)
  if (chosen() == Isa::avx2) avx2::register_all(add);
#endif
#if defined(CHAINRULE_HAVE_AVX512)
  if (chosen() == Isa::avx512) avx512::register_all(add);
#endif
}

std::string_view instruction_set() {
  constexpr std::string_view names[] = {"baseline", "avx2", "avx512"};
  return names[static_cast<int>(chosen())];
}

}  // namespace chainrule::cpu
