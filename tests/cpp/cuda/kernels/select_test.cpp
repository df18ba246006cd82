#include "compare.h"

#include "chainrule/functors/instances.h"

namespace chainrule::testing {
namespace {

class CudaSelect : public CudaTest {};

TEST_F(CudaSelect, AgreesWithTheCpu) {
  functors::for_each_type(functors::AllTypes{}, []<class T>() {
    constexpr Dtype dtype = dtype_of<T>;
    expect_same("where", {dtype, dtype, {Dtype::bool_, dtype, dtype}});
  });
}

}  // namespace
}  // namespace chainrule::testing
