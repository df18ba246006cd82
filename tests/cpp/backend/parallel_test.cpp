#include "chainrule/backend/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

TEST(Parallel, CoversEveryIndexOnce) {
  for (std::int64_t count : {0, 1, 7, 1000, 1001}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
    parallel_for(count, 10, [&](std::int64_t begin, std::int64_t end) {
      EXPECT_EQ(begin % 10, 0);
      for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
    });
    for (const auto& n : seen) EXPECT_EQ(n, 1);
  }
}

TEST(Parallel, NestedCallsRunInPlace) {
  std::atomic<std::int64_t> total{0};
  parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end) {
    parallel_for(100, 1, [&](std::int64_t b, std::int64_t e) { total += (e - b) * (end - begin); });
  });
  EXPECT_EQ(total, 400);
}

TEST(Parallel, ThreadCountsAreChecked) {
  const int before = num_threads();
  EXPECT_THROW(set_num_threads(0), ValueError);
  EXPECT_EQ(num_threads(), before);
}

// libgomp's pool does not survive fork: without care the child would wait for ever.
TEST(Parallel, WorksInAForkedChild) {
  parallel_for(1000, 1, [](std::int64_t, std::int64_t) {});
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::int64_t sum = 0;
    parallel_for(1000, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    _exit(sum == 1000 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace chainrule
