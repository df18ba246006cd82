#include "compare.h"

#include "chainrule/functors/instances.h"

namespace chainrule::testing {
namespace {

class CudaUnary : public CudaTest {};

TEST_F(CudaUnary, AgreesWithTheCpu) {
  functors::for_each_unary([]<class Op, class T>() {
    constexpr Dtype dtype = dtype_of<T>;
    expect_same(Op::name, {dtype, dtype, {dtype}, is_floating(dtype) ? 4 * rounding(dtype) : 0});
  });
}

}  // namespace
}  // namespace chainrule::testing
