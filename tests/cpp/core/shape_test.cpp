#include "chainrule/core/shape.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

TEST(Shape, PrintsAsPythonTuple) {
  EXPECT_EQ(cat(Shape{}), "()");
  EXPECT_EQ(cat(Shape{3}), "(3,)");
  EXPECT_EQ(cat(Shape{2, 3}), "(2, 3)");
}

TEST(Shape, BroadcastsAsNumPy) {
  struct Row {
    Shape a, b, y;
  };
  const Row table[] = {
      {{}, {}, {}},          {{}, {3}, {3}},
      {{3, 1}, {4}, {3, 4}}, {{2, 1, 3}, {4, 1}, {2, 4, 3}},
      {{0}, {1}, {0}},       {{0, 3}, {1, 1}, {0, 3}},
      {{1}, {5, 1}, {5, 1}},
  };
  for (const auto& [a, b, y] : table) {
    EXPECT_EQ(broadcast_shapes("op", a, b), y);
    EXPECT_EQ(broadcast_shapes("op", b, a), y);
  }
  EXPECT_THROW(broadcast_shapes("op", {2, 3}, {2}), ValueError);
  EXPECT_THROW(broadcast_shapes("op", {0}, {2}), ValueError);
}

TEST(Shape, ErrorsNameTheOpAndTheShapes) {
  try {
    broadcast_shapes("add", {2, 3}, {4});
    FAIL();
  } catch (const ValueError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("[add]"), std::string::npos) << text;
    EXPECT_NE(text.find("(2, 3)"), std::string::npos) << text;
    EXPECT_NE(text.find("(4,)"), std::string::npos) << text;
  }
}

TEST(Shape, CountsElementsWithoutOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({std::int64_t{1} << 40, 0, std::int64_t{1} << 40}), 0);
  EXPECT_THROW(element_count({std::int64_t{1} << 40, std::int64_t{1} << 40}), ValueError);
  EXPECT_THROW(element_count({std::numeric_limits<std::int64_t>::max()}), ValueError);
  EXPECT_THROW(element_count({2, -1}), ValueError);
}

TEST(Shape, HoldsEightDimensions) {
  Shape shape = Shape::filled(kMaxDims, 1);
  EXPECT_THROW(shape.push_back(1), ValueError);
  EXPECT_THROW(shape.insert(0, 1), ValueError);
  shape.erase(3);
  shape.insert(3, 7);
  EXPECT_EQ(shape[3], 7);
  EXPECT_EQ(shape.size(), kMaxDims);
}

TEST(Shape, AxesAreSortedAndChecked) {
  EXPECT_EQ(normalize_axis("op", -1, 3), 2);
  EXPECT_THROW(normalize_axis("op", 3, 3), IndexError);
  EXPECT_THROW(normalize_axis("op", -4, 3), IndexError);
  EXPECT_THROW(normalize_axis("op", 0, 0), IndexError);
  EXPECT_EQ(normalize_axes("op", {-1, 0}, 3), (Axes{0, 2}));
  EXPECT_EQ(normalize_axes("op", {}, 2), (Axes{0, 1}));
  EXPECT_THROW(normalize_axes("op", {1, -2}, 3), ValueError);
}

TEST(Shape, ReducedShapes) {
  EXPECT_EQ(reduced_shape({2, 3, 4}, {0, 2}, false), (Shape{3}));
  EXPECT_EQ(reduced_shape({2, 3, 4}, {0, 2}, true), (Shape{1, 3, 1}));
  EXPECT_EQ(reduced_shape({2, 3}, {0, 1}, false), Shape{});
}

TEST(Shape, ContiguousStridesOfEmptyShapesAreUsable) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}, 8), (Strides{96, 32, 8}));
  EXPECT_EQ(contiguous_strides({2, 0, 4}, 8), (Strides{32, 32, 8}));
}

}  // namespace
}  // namespace chainrule
