#include "chainrule/update/expression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "chainrule/core/error.h"
#include "chainrule/update/clock.h"
#include "update/support.h"

namespace chainrule {
namespace {

using namespace testing;
using Op = Expression::Op;

Ref<Expression> number(double value) { return Expression::number(value); }
Ref<Expression> inherit() { return Expression::make(Op::inherit); }
Ref<Expression> step() { return Expression::make(Op::step); }
Ref<Expression> binary(Op op, Ref<Expression> a, Ref<Expression> b) {
  return Expression::make(op, {std::move(a), std::move(b)});
}
void set(Hyperparameter& values, const char* name, Ref<Expression> expression) {
  values.set(intern(name), Value::of_expression(std::move(expression)));
}
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Expression, EvaluatesAtAStepAndAnInheritedNumber) {
  const auto e = binary(Op::add, binary(Op::multiply, inherit(), number(0.5)), step());
  EXPECT_EQ(e->evaluate(3, 4), 5);
  EXPECT_TRUE(e->uses_step());
  EXPECT_TRUE(e->uses_inherit());
  EXPECT_FALSE(binary(Op::add, number(1), inherit())->uses_step());
  EXPECT_FALSE(Expression::make(Op::after, {}, {3})->uses_inherit());
  EXPECT_EQ(Expression::make(Op::negative, {number(2)})->evaluate(0, 0), -2);
  EXPECT_EQ(binary(Op::power, number(2), number(-1))->evaluate(0, 0), 0.5);
  EXPECT_TRUE(std::isinf(binary(Op::divide, number(1), number(0))->evaluate(0, 0)));
  // What is no number is seen on either side.
  const auto nan = binary(Op::divide, number(0), number(0));
  for (const Op op : {Op::minimum, Op::maximum}) {
    EXPECT_TRUE(std::isnan(binary(op, nan, number(1))->evaluate(0, 0)));
    EXPECT_TRUE(std::isnan(binary(op, number(1), nan)->evaluate(0, 0)));
  }
}

TEST(Expression, SchedulesStartAndEndWhereTheySay) {
  for (const Op op : {Op::linear, Op::cosine}) {
    const auto e = Expression::make(op, {number(0.1), number(0.3)}, {7, 2});
    EXPECT_EQ(e->evaluate(0, 0), 0.1);
    EXPECT_EQ(e->evaluate(2, 0), 0.1);
    EXPECT_EQ(e->evaluate(9, 0), 0.3);
    EXPECT_EQ(e->evaluate(1000000, 0), 0.3);
    EXPECT_GT(e->evaluate(5, 0), 0.1);
    EXPECT_LT(e->evaluate(5, 0), 0.3);
  }
  const auto pieces = Expression::make(Op::piecewise, {number(1), inherit(), number(3)}, {2, 5});
  EXPECT_EQ(pieces->evaluate(1, 9), 1);
  EXPECT_EQ(pieces->evaluate(2, 9), 9);
  EXPECT_EQ(pieces->evaluate(5, 9), 3);
  const auto every = Expression::make(Op::every, {}, {3});
  EXPECT_EQ(every->evaluate(0, 0), 1);
  EXPECT_EQ(every->evaluate(4, 0), 0);
  EXPECT_EQ(every->evaluate(3000000000000, 0), 1);
}

TEST(Expression, DepthAndSizeAreBounded) {
  auto deep = step();
  for (int i = 1; i < Expression::kMaxDepth; ++i) deep = Expression::make(Op::negative, {deep});
  EXPECT_EQ(std::abs(deep->evaluate(5, 0)), 5);
  EXPECT_EQ(message_of<ValueError>([&] { Expression::make(Op::negative, {deep}); }),
            "[expression] nested too deeply: got 257 levels, expected at most 256");
  // A few nodes that stand for very many.
  auto wide = step();
  const std::string message = message_of<ValueError>([&] {
    for (int i = 0; i < 100; ++i) wide = binary(Op::add, wide, wide);
  });
  EXPECT_EQ(message, "[expression] too large: got 8191 terms, expected at most 4096");
}

TEST(Expression, PartsAreChecked) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(message_of<ValueError>([&] { number(inf); }),
            "[number] value: got inf, expected a finite number");
  EXPECT_EQ(
      message_of<ValueError>([] { Expression::make(Op::cosine, {number(1), number(0)}, {0, 0}); }),
      "[cosine] steps: got 0.0, expected a positive number");
  EXPECT_EQ(message_of<ValueError>([] { Expression::make(Op::every, {}, {2.5}); }),
            "[every] n: got 2.5, expected a positive whole number");
  EXPECT_EQ(message_of<ValueError>([] { Expression::make(Op::add, {number(1)}); }),
            "[add] wrong number of parts: got 1 expressions and 0 numbers, expected 2 and 0");
  EXPECT_EQ(message_of<TypeError>([] { Expression::make(Op::negative, {nullptr}); }),
            "[negative] an argument is missing");
  EXPECT_EQ(message_of<ValueError>(
                [] { Expression::make(Op::piecewise, {number(1), number(2), number(3)}, {5, 5}); }),
            "[piecewise] boundaries must be finite and rise: got 5.0, 5.0");
  EXPECT_EQ(message_of<ValueError>([] { Expression::make(Op::piecewise, {}, {}); }),
            "[piecewise] expected one value more than boundaries: got 0 values and 0 boundaries");
  EXPECT_NE(message_of<ValueError>([] { Expression::describe("cosin"); }).find("'cosine'?"),
            std::string::npos);
}

TEST(Expression, TextHasTheBracketsThatPythonNeeds) {
  const auto a = inherit();
  const auto t = step();
  EXPECT_EQ(binary(Op::subtract, a, binary(Op::subtract, t, number(1)))->text(),
            "inherit - (step - 1.0)");
  EXPECT_EQ(binary(Op::subtract, binary(Op::subtract, a, t), number(1))->text(),
            "inherit - step - 1.0");
  EXPECT_EQ(binary(Op::power, number(-2), t)->text(), "(-2.0) ** step");
  EXPECT_EQ(binary(Op::power, t, number(-2))->text(), "step ** -2.0");
  EXPECT_EQ(binary(Op::power, binary(Op::power, a, t), t)->text(), "(inherit ** step) ** step");
  EXPECT_EQ(binary(Op::less, binary(Op::less, a, t), t)->text(), "(inherit < step) < step");
  EXPECT_EQ(binary(Op::add, number(1), number(2))->text(), "constant(1.0) + 2.0");
  EXPECT_EQ(Expression::make(Op::negative, {binary(Op::multiply, a, t)})->text(),
            "-(inherit * step)");
  EXPECT_EQ(Expression::make(Op::exponential, {number(1), a}, {1, 0, 1})->text("0.1"),
            "exponential(1.0, 0.1, staircase=True)");
}

TEST(Expression, NumbersReadAsPythonWritesThem) {
  EXPECT_EQ(number_text(0.0003), "0.0003");
  EXPECT_EQ(number_text(3e-05), "3e-05");
  EXPECT_EQ(number_text(1), "1.0");
  EXPECT_EQ(number_text(-0.0), "-0.0");
  EXPECT_EQ(number_text(1e16), "1e+16");
  EXPECT_EQ(number_text(123456789012345.0), "123456789012345.0");
  EXPECT_EQ(number_text(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(number_text(5e-324), "5e-324");
}

TEST(Clock, AnUpdateOnItsWayIsCountedButSeesTheStepBeforeIt) {
  Clock clock;
  EXPECT_EQ(clock.step(), 0);
  clock.begin();
  EXPECT_EQ(clock.t, 1);
  EXPECT_EQ(clock.step(), 0);
  clock.end();
  EXPECT_EQ(clock.step(), 1);
}

TEST(Expression, ReachesChildrenThroughSeveralLevels) {
  auto root = default_hyperparameter(find_algorithm("SGD"));
  auto middle = make_ref<Hyperparameter>(root);
  auto leaf = make_ref<Hyperparameter>(middle);
  auto clock = make_ref<Clock>();
  root->set_clock(clock);
  const Name lr = intern("lr");
  set(*leaf, "lr", binary(Op::multiply, inherit(), number(0.5)));
  set(*middle, "lr", binary(Op::add, inherit(), step()));
  EXPECT_EQ(leaf->evaluate(lr), 0.005);
  clock->t = 3;
  EXPECT_EQ(leaf->evaluate(lr), 0.5 * 3.01);
  root->set(lr, Value::real(1));
  EXPECT_EQ(leaf->evaluate(lr), 2);
  middle->erase(lr);
  EXPECT_EQ(leaf->evaluate(lr), 0.5);
  EXPECT_EQ(message_of<ValueError>([&] { set(*root, "lr", inherit()); }),
            "[hyperparam] 'lr' has no parent to inherit from: got 'inherit'");
  set(*leaf, "other", inherit());
  EXPECT_EQ(message_of<AttributeError>([&] { leaf->evaluate(intern("other")); }),
            "[hyperparam] no parent has 'other' to inherit: got 'inherit'");
}

TEST(Expression, TheTableFollowsTheStepAndRefusesWhatIsNotFinite) {
  auto clock = make_ref<Clock>();
  auto p = parameter({0}, {1}, Dtype::float64);
  auto q = parameter({0}, {1}, Dtype::float64);
  auto rule = rule_of("SGD");
  auto bad = rule_of("SGD", {{"lr", 1}});
  UpdateTable table(clock);
  table.add(p, rule, "/p", false);
  table.add(q, bad, "/q", false);
  set(*rule->hyperparam(), "lr", binary(Op::add, step(), number(1)));
  for (int i = 0; i < 3; ++i) {
    table.update({});
    ++clock->t;
  }
  EXPECT_EQ(values_of(p->data())[0], -1 - 2 - 3);
  set(*bad->hyperparam(), "lr",
      binary(Op::divide, number(1), binary(Op::subtract, step(), number(3))));
  EXPECT_EQ(message_of<ValueError>([&] { table.update({}); }),
            "[update] /q: hyperparameter 'lr' of SGD is not finite: got inf = 1.0 / (step - 3.0) "
            "at step 3");
  EXPECT_EQ(values_of(p->data())[0], -6);
  EXPECT_EQ(rule->t, 3);
  ++clock->t;
  table.update({});
  EXPECT_EQ(values_of(p->data())[0], -6 - 5);
}

TEST(Expression, SwitchesARuleAndItsPartInGraphs) {
  auto clock = make_ref<Clock>();
  auto p = parameter({0}, {1}, Dtype::float64);
  auto rule = rule_of("SGD", {{"lr", 1}});
  rule->set_enabled(Expression::make(Op::every, {}, {2}));
  UpdateTable table(clock);
  table.add(p, rule, "/p", false);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(p->frozen(), i % 2 == 1);
    table.update({});
    ++clock->t;
    table.settle();
  }
  EXPECT_EQ(rule->t, 2);
  EXPECT_EQ(values_of(p->data())[0], -2);
  EXPECT_EQ(message_of<ValueError>([&] { rule->set_enabled(inherit()); }),
            "[update] 'enabled' has no parent to inherit from: got 'inherit'");
  rule->set_enabled(binary(Op::divide, step(), number(0)));
  EXPECT_EQ(message_of<ValueError>([&] { table.update({}); }),
            "[update] /p: 'enabled' is not finite: got inf = step / 0.0 at step 4");
  rule->set_enabled(false);
  table.update({});
  EXPECT_EQ(rule->t, 2);
}

TEST(Expression, ARuleWithoutAnOptimizerCountsForItself) {
  auto p = parameter({0}, {1}, Dtype::float64);
  auto rule = rule_of("SGD");
  set(*rule->hyperparam(), "lr", step());
  UpdateTable table;
  table.add(p, rule, "/p", false);
  for (int i = 0; i < 4; ++i) table.update({});
  EXPECT_EQ(values_of(p->data())[0], -(0 + 1 + 2 + 3));
  EXPECT_EQ(rule->hyperparam()->evaluate(intern("lr")), 4);
}

}  // namespace
}  // namespace chainrule
