#include "chainrule/update/sweep.h"

#include <gtest/gtest.h>

#include <cmath>

#include "chainrule/backend/parallel.h"
#include "chainrule/update/rule_list.h"
#include "support.h"

namespace chainrule::testing {
namespace {

using update::kChunk;

TEST(Sweep, ChunksCoverARowOnce) {
  std::vector<update::Chunk> chunks;
  std::vector<std::int64_t> starts{0};
  append_chunks(chunks, starts, 3, 0);
  EXPECT_TRUE(chunks.empty());
  append_chunks(chunks, starts, 4, 2 * kChunk + 1);
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(starts.size(), 4u);
  std::int64_t at = 0;
  for (const update::Chunk& chunk : chunks) {
    EXPECT_EQ(chunk.row, 4);
    EXPECT_EQ(chunk.begin, at);
    at += chunk.count;
  }
  EXPECT_EQ(at, 2 * kChunk + 1);
}

TEST(Sweep, StagesConvertWhatTheyReadAndKeepStatesOfTheirOwnType) {
  for (const Dtype dtype : {Dtype::float16, Dtype::float32, Dtype::float64}) {
    const Array x = array_of({1, -2, 4}, dtype);
    const Array mean = array_of({0, 0, 1}, Dtype::bfloat16);
    const Array out({3}, Dtype::float32);
    Sweep sweep({});
    sweep.add_stage(update::place_of<update::MomentumStage>, {0.5, 1}, out, x, {&mean});
    sweep.run();
    EXPECT_EQ(values_of(mean), (std::vector<double>{0.5, -1, 2.5}));
    EXPECT_EQ(values_of(out), (std::vector<double>{0.5, -1, 2.5}));
    EXPECT_TRUE(sweep.rows().empty());
  }
}

TEST(Sweep, SumsOfSquaresAreThoseOfEachRow) {
  const int threads = num_threads();
  const std::vector<double> long_row = noise(3 * kChunk + 17, 1);
  const Array a = array_of(long_row, Dtype::float32);
  const Array b = array_of({3, 4}, Dtype::float16);
  const Array none(Shape{0}, Dtype::float64);
  const auto sums = [&] {
    return sums_of_squares(
        {}, {row_of(a.raw(), a.dtype(), a.size()), row_of(none.raw(), none.dtype(), 0),
             row_of(b.raw(), b.dtype(), b.size())});
  };
  set_num_threads(1);
  const std::vector<double> serial = sums();
  set_num_threads(3);
  EXPECT_EQ(sums(), serial);
  set_num_threads(threads);
  double expected = 0;
  for (const double x : values_of(a)) expected += x * x;
  EXPECT_NEAR(serial[0], expected, 1e-12 * expected);
  EXPECT_EQ(serial[1], 0);
  EXPECT_EQ(serial[2], 25);
}

TEST(Sweep, MeasuresByRow) {
  const Array g = array_of({1, -1, 2, -2, NAN}, Dtype::float64);
  const Array update = array_of({-1, -1, 0, 3, 1}, Dtype::float64);
  Sweep sweep({});
  sweep.add_stage(update::place_of<update::CautiousStage>, {2}, update, g);
  sweep.rows().back().sums = 1;
  EXPECT_EQ(sweep.measure(), std::vector<double>{2});
  sweep.run();
  const std::vector<double> masked = values_of(update);
  EXPECT_EQ(std::vector<double>(masked.begin(), masked.begin() + 4),
            (std::vector<double>{-2, 0, 0, 6}));
  EXPECT_EQ(masked[4], 2);  // nobody knows the gradient's sign
}

}  // namespace
}  // namespace chainrule::testing
