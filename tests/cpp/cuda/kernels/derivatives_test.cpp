#include "compare.h"

#include "chainrule/functors/instances.h"

namespace chainrule::testing {
namespace {

class CudaDerivatives : public CudaTest {};

TEST_F(CudaDerivatives, AgreeWithTheCpu) {
  functors::for_each_derivative([]<class Op, class T, int Order>() {
    constexpr Dtype dtype = dtype_of<T>;
    // The higher ones subtract numbers of about the same size.
    const double tolerance = (Order == 1 ? 4 : 40) * rounding(dtype);
    expect_same(functors::derivative_name<Op, Order>.text,
                {dtype, dtype, {dtype, dtype}, tolerance});
  });
}

TEST_F(CudaDerivatives, OfHalvesGoThroughFloat) {
  for (Dtype dtype : {Dtype::float16, Dtype::bfloat16}) {
    const auto* kernel =
        static_cast<const ElementwiseKernel*>(KernelBase::find("tanh.derivative2"));
    ASSERT_NE(kernel, nullptr);
    const Array s = array({0.5, -0.25, 0}, dtype);
    const Array u = array({1, 2, 3}, dtype);
    const Array here({3}, dtype);
    const Array there({3}, dtype, kCuda);
    run(*kernel, dtype, here, {s, u}, nullptr);
    run(*kernel, dtype, there, {to_device(s, kCuda), to_device(u, kCuda)}, nullptr);
    EXPECT_EQ(values(here), values(to_device(there, {})));
  }
}

}  // namespace
}  // namespace chainrule::testing
