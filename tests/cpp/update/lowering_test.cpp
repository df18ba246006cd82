#include "chainrule/update/lowering.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "chainrule/core/error.h"
#include "expressions.h"

namespace chainrule::testing {
namespace {

std::string listing(const Writer& w, int fields = 8) {
  return LoweredRule(w.expression, fields).listing();
}

TEST(Lowering, AdamIsThreeInstructions) {
  // The moments and the step.
  EXPECT_EQ(listing(adam_expression()),
            "s0 = combine s0 g c0 c1\n"
            "s1 = multiply_add g g s1 c2 c3\n"
            "p = divide_root_add s0 s1 p c4 c5 c6 1\n");
}

TEST(Lowering, ARootThatSomebodyElseNeedsIsComputedOnce) {
  // p' = p - g / d, s' = s - g / d'  with  d = sqrt(s) + 1,  d' = d or 2 d
  for (const double factor : {1.0, 2.0}) {
    Writer w;
    const int d = w.make(Op::add, w.make(Op::sqrt, w.state(0)), w.constant(1));
    const int scaled = factor == 1 ? d : w.make(Op::multiply, d, w.constant(factor));
    const int step = w.make(Op::divide, w.grad(), scaled);
    const int other = w.make(Op::divide, w.param(), scaled);
    w.results(w.make(Op::subtract, w.param(), step), {w.make(Op::subtract, w.state(0), other)});
    const std::string found = listing(w);
    EXPECT_EQ(found.find("divide_root_add"), std::string::npos) << found;
    EXPECT_EQ(found.find("sqrt"), found.rfind("sqrt")) << found;
  }
}

TEST(Lowering, RootsOfOtherFormsStandAlone) {
  Writer w;
  const int inside = w.make(Op::add, w.state(0), w.constant(1));
  w.results(w.make(Op::subtract, w.param(), w.make(Op::divide, w.grad(), w.make(Op::sqrt, inside))),
            {w.state(0)});
  EXPECT_EQ(listing(w), "r0 = sqrt s0 1 1 1 -0\np = divide_add g r0 p -1 1\n");
}

TEST(Lowering, ConstantsAreFoldedAndEqualPartsMerged) {
  Writer w;
  const int two = w.make(Op::add, w.constant(1.5), w.constant(0.5));
  const int g2 = w.make(Op::multiply, w.grad(), two);
  const int again = w.make(Op::multiply, two, w.grad());
  w.results(w.make(Op::subtract, w.param(), w.make(Op::add, g2, again)), {});
  const LoweredRule rule(w.expression, 0);
  EXPECT_EQ(rule.program().coef_count, 0);
  EXPECT_TRUE(rule.constant());
  EXPECT_EQ(rule.listing(), "r0 = combine g g 2 2\np = combine p r0 1 -1\n");
}

TEST(Lowering, WhatNobodyNeedsIsDropped) {
  Writer w;
  w.make(Op::exp, w.param());
  w.results(w.make(Op::negative, w.grad()), {});
  EXPECT_EQ(listing(w), "p = affine g -1 -0\n");
}

TEST(Lowering, StatesThatChangePlacesAreCopiedFirst) {
  Writer w;
  const int a = w.state(0);
  const int b = w.state(1);
  w.results(w.param(), {b, a});
  EXPECT_EQ(listing(w), "r0 = copy s1\ns1 = copy s0\ns0 = copy r0\n");
}

TEST(Lowering, AnOldValueThatIsStillNeededIsNotOverwritten) {
  // v' = v + g; p' = v' * v
  Writer w;
  const int v = w.state(0);
  const int next = w.make(Op::add, v, w.grad());
  w.results(w.make(Op::multiply, next, v), {next});
  EXPECT_EQ(listing(w), "r0 = combine s0 g 1 1\np = multiply r0 s0 1 -0\ns0 = copy r0\n");
}

TEST(Lowering, CoefficientsAreComputedInDouble) {
  const Writer w = adam_expression();
  const LoweredRule rule(w.expression, 4);
  EXPECT_FALSE(rule.constant());
  ASSERT_EQ(rule.program().coef_count, 7);
  const double values[] = {0.001, 0.9, 0.999, 1e-8};
  update::Powers powers;
  double coefs[update::kMaxCoefs];
  for (int t : {1, 2, 50}) {
    rule.prepare(values, {t, nullptr, &powers}, coefs);
    EXPECT_EQ(coefs[0], 0.9);
    EXPECT_EQ(coefs[1], 1 - 0.9);
    EXPECT_DOUBLE_EQ(coefs[4], -0.001 / (1 - std::pow(0.9, t)));
    EXPECT_DOUBLE_EQ(coefs[5], 1 / (1 - std::pow(0.999, t)));
    EXPECT_EQ(coefs[6], 1e-8);
  }
}

TEST(Lowering, RefusesWhatIsTooLarge) {
  {
    Writer w;  // seventeen different coefficients
    int sum = w.param();
    for (int i = 0; i < 17; ++i) {
      const int factor = w.make(Op::add, w.field(0), w.constant(i));
      sum = w.make(Op::tanh, w.make(Op::multiply, sum, factor));
    }
    w.results(sum, {});
    EXPECT_THROW(listing(w), ValueError);
  }
  {
    Writer w;  // values that are all alive at once
    std::vector<int> alive;
    for (int i = 0; i < 30; ++i) {
      alive.push_back(w.make(Op::power, w.grad(), w.constant(i + 0.5)));
    }
    int sum = alive[0];
    for (int value : alive) sum = w.make(Op::minimum, sum, value);
    for (int value : alive) sum = w.make(Op::power, sum, value);
    w.results(sum, {});
    EXPECT_THROW(listing(w), ValueError);
  }
}

}  // namespace
}  // namespace chainrule::testing
