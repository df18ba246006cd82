#include "chainrule/core/dtype.h"

#include <gtest/gtest.h>

#include <string>

namespace chainrule {
namespace {

// numpy.promote_types for all pairs, bfloat16 as ml_dtypes has it (with 16-bit integers and
// wider ones as float16 does: the smallest float that holds both).
constexpr const char* kTable[kDtypeCount][kDtypeCount] = {
    {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
     "float64"},
    {"uint8", "uint8", "int16", "int16", "int32", "int64", "float16", "bfloat16", "float32",
     "float64"},
    {"int8", "int16", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
     "float64"},
    {"int16", "int16", "int16", "int16", "int32", "int64", "float32", "float32", "float32",
     "float64"},
    {"int32", "int32", "int32", "int32", "int32", "int64", "float64", "float64", "float64",
     "float64"},
    {"int64", "int64", "int64", "int64", "int64", "int64", "float64", "float64", "float64",
     "float64"},
    {"float16", "float16", "float16", "float32", "float64", "float64", "float16", "float32",
     "float32", "float64"},
    {"bfloat16", "bfloat16", "bfloat16", "float32", "float64", "float64", "float32", "bfloat16",
     "float32", "float64"},
    {"float32", "float32", "float32", "float32", "float64", "float64", "float32", "float32",
     "float32", "float64"},
    {"float64", "float64", "float64", "float64", "float64", "float64", "float64", "float64",
     "float64", "float64"},
};

TEST(Dtype, PromotionIsNumPys) {
  for (int a = 0; a < kDtypeCount; ++a) {
    for (int b = 0; b < kDtypeCount; ++b) {
      EXPECT_EQ(dtype_name(promote(static_cast<Dtype>(a), static_cast<Dtype>(b))), kTable[a][b])
          << dtype_name(static_cast<Dtype>(a)) << " with " << dtype_name(static_cast<Dtype>(b));
    }
  }
}

TEST(Dtype, ScalarsPromoteByKind) {
  using enum ScalarKind;
  EXPECT_EQ(promote_scalar(Dtype::float16, floating), Dtype::float16);
  EXPECT_EQ(promote_scalar(Dtype::bfloat16, integer), Dtype::bfloat16);
  EXPECT_EQ(promote_scalar(Dtype::int8, integer), Dtype::int8);
  EXPECT_EQ(promote_scalar(Dtype::int8, boolean), Dtype::int8);
  EXPECT_EQ(promote_scalar(Dtype::int8, floating), Dtype::float64);
  EXPECT_EQ(promote_scalar(Dtype::bool_, integer), Dtype::int64);
  EXPECT_EQ(promote_scalar(Dtype::bool_, floating), Dtype::float64);
}

TEST(Dtype, FloatsForElementaryFunctions) {
  EXPECT_EQ(to_floating(Dtype::bool_), Dtype::float16);
  EXPECT_EQ(to_floating(Dtype::int8), Dtype::float16);
  EXPECT_EQ(to_floating(Dtype::int16), Dtype::float32);
  EXPECT_EQ(to_floating(Dtype::int32), Dtype::float64);
  EXPECT_EQ(to_floating(Dtype::bfloat16), Dtype::bfloat16);
}

TEST(Dtype, NamesAndSizesGoBothWays) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
    visit(dtype, [&]<class T>(TypeTag<T>) {
      EXPECT_EQ(dtype_of<T>, dtype);
      EXPECT_EQ(item_size(dtype), static_cast<int>(sizeof(T)));
    });
  }
  EXPECT_THROW(dtype_from_name("float128"), TypeError);
}

}  // namespace
}  // namespace chainrule
