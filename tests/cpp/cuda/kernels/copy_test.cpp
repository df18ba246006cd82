#include "compare.h"

#include "chainrule/functors/instances.h"

namespace chainrule::testing {
namespace {

class CudaCopy : public CudaTest {};

TEST_F(CudaCopy, ConvertsAsTheCpuDoes) {
  functors::for_each_copy([]<class From, class To>() {
    expect_same(functors::copy_name<From>, {dtype_of<To>, dtype_of<To>, {dtype_of<From>}});
  });
}

TEST_F(CudaCopy, FillsAsTheCpuDoes) {
  functors::for_each_type(functors::AllTypes{},
                          []<class T>() { expect_same("fill", {dtype_of<T>, dtype_of<T>, {}}); });
}

TEST_F(CudaCopy, ElementsThatOverlapNothingStay) {
  const Array x = to_device(array({1, 2, 3, 4, 5, 6}), kCuda);
  const Array odd = x.view({3}, {16}, 8);
  fill(odd, -1);
  EXPECT_EQ(values(to_device(x, {})), (std::vector<double>{1, -1, 3, -1, 5, -1}));
  copy_into(odd, to_device(array({7, 8, 9}), kCuda));
  EXPECT_EQ(values(to_device(x, {})), (std::vector<double>{1, 7, 3, 8, 5, 9}));
}

TEST_F(CudaCopy, NothingToDoIsNoError) {
  const Array empty({0, 3}, Dtype::float32, kCuda);
  fill(empty, 1);
  EXPECT_EQ(to_device(as_dtype(empty, Dtype::float64), {}).size(), 0);
}

}  // namespace
}  // namespace chainrule::testing
