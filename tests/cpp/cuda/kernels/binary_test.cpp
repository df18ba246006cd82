#include "compare.h"

#include "chainrule/functors/instances.h"

namespace chainrule::testing {
namespace {

class CudaBinary : public CudaTest {};

TEST_F(CudaBinary, ArithmeticAgreesWithTheCpu) {
  functors::for_each_binary([]<class Op, class T>() {
    constexpr Dtype dtype = dtype_of<T>;
    expect_same(Op::name,
                {dtype, dtype, {dtype, dtype}, is_floating(dtype) ? 4 * rounding(dtype) : 0});
  });
}

TEST_F(CudaBinary, ComparisonsAgreeWithTheCpu) {
  functors::for_each_comparison([]<class Op, class T>() {
    constexpr Dtype dtype = dtype_of<T>;
    expect_same(Op::name, {dtype, Dtype::bool_, {dtype, dtype}});
  });
}

}  // namespace
}  // namespace chainrule::testing
