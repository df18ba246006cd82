#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/cpu/kernels/loop.h"
#include "chainrule/backend/cpu/kernels/random_words.h"
#include "chainrule/core/dtype.h"
#include "chainrule/functors/instances.h"
#include "chainrule/functors/philox.h"

// Kernels that draw numbers; an element's position in row-major order is its number's.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

using namespace functors;

template <class T>
void dropout(const ElementwisePlan& plan, std::int64_t begin, std::int64_t end) {
  const Dropout op(plan.params);
  const int inner = plan.ndim - 1;
  const std::int64_t sy = plan.strides[0][inner];
  const std::int64_t sx = plan.strides[1][inner];
  constexpr std::int64_t size = sizeof(T);
  std::uint32_t words[kPhiloxGroup];
  std::int64_t group = -1;
  std::int64_t position = begin;
  walk<2>(plan, begin, end, [&](char* const* p, std::int64_t n) {
    for (std::int64_t i = 0; i < n;) {
      if (position / kPhiloxGroup != group) {
        group = position / kPhiloxGroup;
        random_words<kPhiloxRounds>(static_cast<std::uint64_t>(group), op.key, words);
      }
      const std::int64_t at = position % kPhiloxGroup;
      const std::int64_t m = n - i < kPhiloxGroup - at ? n - i : kPhiloxGroup - at;
      char* y = p[0] + i * sy;
      const char* x = p[1] + i * sx;
      if (sy == size && sx == size) {
        for (std::int64_t j = 0; j < m; ++j) {
          store<T>(y + j * size, op.forward(load<T>(x + j * size), words[at + j]));
        }
      } else {
        for (std::int64_t j = 0; j < m; ++j) {
          store<T>(y + j * sy, op.forward(load<T>(x + j * sx), words[at + j]));
        }
      }
      i += m;
      position += m;
    }
  });
}

}  // namespace

void register_random(KernelRegistrar add) {
  for_each_type(Floating{}, [&]<class T>() {
    add(Dropout::name, static_cast<int>(dtype_of<T>), reinterpret_cast<void*>(dropout<T>));
  });
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
