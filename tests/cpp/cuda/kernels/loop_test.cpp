#include "../../../../cuda/kernels/loop.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace chainrule::cuda {
namespace {

TEST(CudaLoop, DivisionIsExact) {
  std::vector<std::uint32_t> numbers{0, 1, 2, 3, 5, 7, 255, 256, 257, 65535, 65536, 65537};
  for (std::uint32_t top : {0x7fffffffu, 0x7ffffffeu, 0x40000000u, 0x40000001u, 0x3fffffffu}) {
    numbers.push_back(top);
  }
  std::mt19937 engine(0);
  for (int i = 0; i < 300; ++i) numbers.push_back(engine() >> (1 + engine() % 31));
  for (std::uint32_t divisor : numbers) {
    if (divisor == 0) continue;
    const FastDivision division(divisor);
    for (std::uint32_t n : numbers) {
      ASSERT_EQ(division.quotient(n), n / divisor) << n << " / " << divisor;
    }
  }
}

ElementwisePlan plan_of(std::initializer_list<std::int64_t> shape) {
  ElementwisePlan plan{};
  plan.operand_count = 1;
  plan.size = 1;
  for (std::int64_t n : shape) {
    plan.shape[plan.ndim++] = n;
    plan.size *= n;
  }
  // Strides that no contiguous array has: the innermost dimension is the widest.
  std::int64_t stride = 1;
  for (int d = 0; d < plan.ndim; ++d) {
    plan.strides[0][d] = stride;
    stride *= plan.shape[d];
  }
  return plan;
}

// The byte of the output that each element lies on, piece by piece.
std::vector<std::int64_t> offsets(const ElementwisePlan& plan,
                                  std::int64_t begin,
                                  std::int64_t end,
                                  std::int64_t max_piece) {
  struct Seen {
    std::vector<std::int64_t> offsets;
    std::int64_t max_piece;
  } seen{{}, max_piece};
  for_each_piece(
      plan, begin, end, max_piece,
      [](void* context, const ElementwisePlan& piece, std::int64_t from, std::int64_t to) {
        auto& s = *static_cast<Seen*>(context);
        EXPECT_LE(piece.size, s.max_piece);
        EXPECT_LT(from, to);
        EXPECT_LE(to, piece.size);
        for (std::int64_t i = from; i < to; ++i) {
          std::int64_t at = reinterpret_cast<std::intptr_t>(piece.data[0]);
          std::int64_t rest = i;
          for (int d = piece.ndim; d-- > 0;) {
            at += rest % piece.shape[d] * piece.strides[0][d];
            rest /= piece.shape[d];
          }
          s.offsets.push_back(at);
        }
      },
      &seen);
  return seen.offsets;
}

TEST(CudaLoop, PiecesCoverEverythingOnceAndInOrder) {
  for (const ElementwisePlan& plan : {plan_of({60}), plan_of({3, 20}), plan_of({5, 3, 4}),
                                      plan_of({2, 30}), plan_of({4, 3, 5, 1})}) {
    const std::vector<std::int64_t> all = offsets(plan, 0, 60, 60);
    ASSERT_EQ(std::set<std::int64_t>(all.begin(), all.end()).size(), 60u);
    for (std::int64_t max_piece : {1, 2, 3, 7, 12, 19, 20, 21, 59}) {
      EXPECT_EQ(offsets(plan, 0, 60, max_piece), all) << max_piece;
      EXPECT_EQ(offsets(plan, 11, 47, max_piece),
                std::vector<std::int64_t>(all.begin() + 11, all.begin() + 47))
          << max_piece;
    }
    EXPECT_TRUE(offsets(plan, 5, 5, 7).empty());
  }
}

constexpr int kSizes[] = {4, 4, 4};

TEST(CudaLoop, WhatLiesFlatIsMovedAtOnce) {
  alignas(16) char memory[64];
  ElementwisePlan plan{};
  plan.ndim = 1;
  plan.operand_count = 3;
  plan.size = plan.shape[0] = 10;
  for (int k = 0; k < 3; ++k) {
    plan.data[k] = memory;
    plan.strides[k][0] = 4;
  }
  const int* sizes = kSizes;
  Range range;
  ASSERT_TRUE(make_range(plan, 0, 10, sizes, 4, range));
  EXPECT_EQ(range.end, 2u);
  EXPECT_EQ(range.rest, 2u);
  EXPECT_EQ(range.strides[0][0], 16);
  EXPECT_TRUE(make_range(plan, 4, 10, sizes, 4, range));
  EXPECT_EQ(range.data[2], memory + 16);
  EXPECT_EQ(range.end, 1u);
  EXPECT_EQ(range.rest, 2u);
  EXPECT_TRUE(make_range(plan, 4, 7, sizes, 4, range));
  EXPECT_EQ(range.end, 0u);
  EXPECT_EQ(range.rest, 3u);
  EXPECT_FALSE(make_range(plan, 3, 10, sizes, 4, range)) << "not aligned";
  plan.strides[1][0] = 0;
  plan.data[1] = memory + 1;
  ASSERT_TRUE(make_range(plan, 4, 10, sizes, 4, range)) << "one element needs no alignment";
  EXPECT_TRUE(range.repeated[1]);
  EXPECT_EQ(range.data[1], memory + 1);
  plan.strides[2][0] = 8;
  EXPECT_FALSE(make_range(plan, 0, 10, sizes, 4, range)) << "gaps";
  ASSERT_TRUE(make_range(plan, 4, 10, sizes, 1, range)) << "single elements lie anywhere";
  EXPECT_EQ(range.data[2], memory + 32);
  EXPECT_EQ(range.end, 6u);
  EXPECT_EQ(range.rest, 0u);
  plan.strides[2][0] = 4;
  plan.strides[0][0] = 0;
  EXPECT_FALSE(make_range(plan, 0, 10, sizes, 4, range)) << "the output is never repeated";
}

TEST(CudaLoop, RowsOfPacksAreMovedAtOnce) {
  alignas(16) char memory[64];
  ElementwisePlan plan{};
  plan.ndim = 2;
  plan.operand_count = 3;
  plan.shape[0] = 3;
  plan.shape[1] = 8;
  plan.size = 24;
  for (int k = 0; k < 3; ++k) {
    plan.data[k] = memory;
    plan.strides[k][0] = 48;
    plan.strides[k][1] = 4;
  }
  plan.strides[1][0] = 0;  // a row repeated over a matrix
  plan.data[2] = memory + 4;
  plan.strides[2][0] = 12;  // a column
  plan.strides[2][1] = 0;
  Range range;
  ASSERT_TRUE(make_range(plan, 0, 24, kSizes, 4, range));
  EXPECT_EQ(range.end, 6u);
  EXPECT_EQ(range.rest, 0u);
  EXPECT_EQ(range.shape[1].divisor, 2u);
  EXPECT_EQ(range.strides[0][1], 16);
  EXPECT_EQ(range.strides[0][0], 48);
  EXPECT_FALSE(range.repeated[1]);
  EXPECT_TRUE(range.repeated[2]);
  EXPECT_FALSE(make_range(plan, 8, 24, kSizes, 4, range)) << "a part of the rows";
  EXPECT_FALSE(make_range(plan, 0, 16, kSizes, 4, range)) << "a part of the rows";
  plan.strides[0][0] = 36;
  EXPECT_FALSE(make_range(plan, 0, 24, kSizes, 4, range)) << "rows that are not aligned";
  plan.strides[0][0] = 48;
  plan.shape[1] = 6;
  plan.size = 18;
  EXPECT_FALSE(make_range(plan, 0, 18, kSizes, 4, range)) << "rows of no whole packs";
  ASSERT_TRUE(make_range(plan, 5, 17, kSizes, 1, range));
  EXPECT_EQ(range.begin, 5u);
  EXPECT_EQ(range.end, 17u);
  EXPECT_EQ(range.data[0], memory);
}

}  // namespace
}  // namespace chainrule::cuda
