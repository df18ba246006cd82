#include "chainrule/update/gradient_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "chainrule/core/error.h"
#include "support.h"

namespace chainrule::testing {
namespace {

using update::FusedProgram;
using update::GradientOp;
using update::GradientStep;

double sign(double x) { return static_cast<double>((x > 0) - (x < 0)); }

double one_by_one(const std::vector<GradientStep>& steps, double p, double g) {
  for (const GradientStep& step : steps) {
    switch (step.op) {
      case GradientOp::scale:
        g *= step.a;
        break;
      case GradientOp::weight_decay:
        g += step.a * p;
        break;
      case GradientOp::lasso:
        g += step.a * sign(p);
        break;
      case GradientOp::clip:
        g = std::min(std::max(g, step.a), step.b);
        break;
    }
  }
  return g;
}

double together(const FusedProgram& program, double p, double g) {
  g = program.g_scale * g + program.p_scale * p + program.sign_scale * sign(p);
  return std::min(std::max(g, program.low), program.high);
}

bool fuses(FusedProgram& program, const std::vector<GradientStep>& steps) {
  return fuse(program, steps.data(), static_cast<int>(steps.size()));
}

TEST(GradientProgram, FusedStepsDoWhatTheyDoOneByOne) {
  // All programs of up to four steps out of these.
  const std::vector<GradientStep> known{
      {GradientOp::scale, 0.5, 0},         {GradientOp::scale, -2, 0},
      {GradientOp::weight_decay, 0.25, 0}, {GradientOp::lasso, 0.75, 0},
      {GradientOp::clip, -0.5, 0.625},     {GradientOp::clip, -1, -0.25}};
  int fused = 0;
  int refused = 0;
  for (std::size_t code = 0; code < 7 * 7 * 7 * 7; ++code) {
    std::vector<GradientStep> steps;
    for (std::size_t rest = code; rest; rest /= 7) {
      if (rest % 7) steps.push_back(known[rest % 7 - 1]);
    }
    FusedProgram program = no_program();
    if (!fuses(program, steps)) {
      ++refused;
      continue;
    }
    ++fused;
    for (const double p : {-1.5, 0.0, 2.0}) {
      for (const double g : {-3.0, -0.125, 0.0, 0.375, 8.0}) {
        // Powers of two: both are exact.
        ASSERT_EQ(together(program, p, g), one_by_one(steps, p, g)) << code << " at " << p << g;
      }
    }
  }
  EXPECT_GT(fused, 700);
  EXPECT_GT(refused, 700);
}

TEST(GradientProgram, WhatHasNoFusedFormIsRefused) {
  const GradientStep clip{GradientOp::clip, -1, 1};
  for (const GradientStep after : {GradientStep{GradientOp::weight_decay, 0.1, 0},
                                   {GradientOp::lasso, 0.1, 0},
                                   {GradientOp::scale, -1, 0},
                                   {GradientOp::scale, 0, 0},
                                   {GradientOp::scale, std::nan(""), 0}}) {
    FusedProgram program = no_program();
    EXPECT_FALSE(fuses(program, {clip, after}));
    program = no_program();
    EXPECT_TRUE(fuses(program, {after, clip}));
  }
}

TEST(GradientProgram, AHooksNumbersAreReadAtEachStep) {
  GradientHook decay(GradientHook::Kind::weight_decay, 0.5);
  EXPECT_EQ(checked_step(decay, 8).a, 4);
  decay.a = 0.25;
  EXPECT_EQ(checked_step(decay, 8).a, 2);
  const GradientHook lasso(GradientHook::Kind::lasso, 0.5);
  EXPECT_EQ(checked_step(lasso, 8).a, 0.5);
  // Until the norm is known.
  const GradientStep norm = checked_step(GradientHook(GradientHook::Kind::clip_norm, 3), 1);
  EXPECT_EQ(norm.op, GradientOp::scale);
  EXPECT_EQ(norm.a, 1);
  decay.a = std::nan("");
  EXPECT_THROW(checked_step(decay, 1), ValueError);
  EXPECT_THROW(checked_step(GradientHook(GradientHook::Kind::hard_clip, 0, std::nan("")), 1),
               ValueError);
}

}  // namespace
}  // namespace chainrule::testing
