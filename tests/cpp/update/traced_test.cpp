#include "chainrule/update/traced.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "chainrule/core/error.h"
#include "expressions.h"
#include "support.h"

namespace chainrule::testing {
namespace {

using update::FieldKind;

Ref<UpdateRule> rule_of(const Ref<const Algorithm>& algorithm) {
  return make_ref<UpdateRule>(algorithm.get(), default_hyperparameter(*algorithm));
}

TEST(Traced, AdamIsThePapersInEveryDtypeAndSize) {
  const Ref<const Algorithm> adam = make_algorithm(traced_adam(0.001));
  for (const Dtype dtype : {Dtype::float64, Dtype::float32, Dtype::float16, Dtype::bfloat16}) {
    for (const std::int64_t size : {1, 15, 511, 513, 4097, 9001}) {
      std::vector<double> p = values_of(array_of(noise(size, 1), dtype));
      std::vector<double> numbers = noise(size, 2);
      // Nothing subnormal in float16, of which processors without F16C would make zeros.
      for (double& x : numbers) x = std::abs(x) < 1e-4 ? 1e-4 : x;
      const std::vector<double> g = values_of(array_of(numbers, dtype));
      const auto param = parameter(p, g, dtype);
      const auto rule = rule_of(adam);
      rule->fp32_update = is_half(dtype);
      UpdateTable table;
      table.add(param, rule, "/p", false);
      std::vector<double> m(p.size());
      std::vector<double> v(p.size());
      for (int t = 1; t <= 3; ++t) {
        table.update({});
        for (std::size_t i = 0; i < p.size(); ++i) {
          m[i] = 0.9 * m[i] + 0.1 * g[i];
          v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
          p[i] -= 0.001 * (m[i] / (1 - std::pow(0.9, t))) /
                  (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
        }
      }
      const double unit = dtype == Dtype::float64   ? 1e-14
                          : dtype == Dtype::float32 ? 5e-7
                          : dtype == Dtype::float16 ? 0x1p-10
                                                    : 0x1p-7;
      const std::vector<double> found = values_of(param->data());
      const std::vector<double> found_v = values_of(rule->state(1));
      for (std::size_t i = 0; i < p.size(); ++i) {
        ASSERT_NEAR(found[i], p[i], unit) << dtype << " " << size << " element " << i;
        ASSERT_NEAR(found_v[i], v[i], 1e-6 * v[i]) << dtype << " " << size << " element " << i;
      }
      EXPECT_EQ(rule->t, 3);
    }
  }
}

// What an expression is, element by element, in double.
double reference(const RuleExpression& e, double p, double g, const std::vector<double>& s) {
  std::vector<double> values;
  for (const RuleExpression::Node& node : e.nodes) {
    double x[3] = {};
    for (int k = 0; k < RuleExpression::arguments_of(node.op); ++k) {
      x[k] = values[static_cast<std::size_t>(node.argument[k])];
    }
    values.push_back(node.op == Op::param      ? p
                     : node.op == Op::grad     ? g
                     : node.op == Op::state    ? s[static_cast<std::size_t>(node.place)]
                     : node.op == Op::constant ? node.value
                                               : evaluate(node.op, x, nullptr));
  }
  return values[static_cast<std::size_t>(e.param)];
}

// Every instruction with operands of every kind, against the definition.
TEST(Traced, EveryOperationIsWhatItSays) {
  const Op ops[] = {Op::negative, Op::absolute,  Op::sign,     Op::square,   Op::sqrt,
                    Op::exp,      Op::expm1,     Op::log,      Op::log1p,    Op::tanh,
                    Op::floor,    Op::add,       Op::subtract, Op::multiply, Op::divide,
                    Op::power,    Op::minimum,   Op::maximum,  Op::less,     Op::less_equal,
                    Op::equal,    Op::not_equal, Op::where};
  const std::vector<double> p = noise(1000, 5);
  const std::vector<double> g = noise(1000, 6);
  for (const Op op : ops) {
    const int count = RuleExpression::arguments_of(op);
    for (int kinds = 0; kinds < (1 << count); ++kinds) {
      Writer w;
      const int variables[] = {w.param(), w.grad(), w.make(Op::add, w.param(), w.grad())};
      const int constants[] = {w.constant(0.25), w.constant(-0.5), w.constant(0.75)};
      int x[3] = {-1, -1, -1};
      for (int k = 0; k < count; ++k) x[k] = (kinds >> k & 1) ? variables[k] : constants[k];
      // The condition of a choice is a comparison.
      if (op == Op::where) x[0] = w.make(Op::less, x[0], w.constant(0.1));
      w.results(w.make(op, x[0], x[1], x[2]), {});
      TracedRule rule;
      rule.name = RuleExpression::name_of(op);
      rule.variants.push_back({{}, {}, w.expression});
      const auto param = parameter(p, g, Dtype::float64);
      UpdateTable table;
      table.add(param, rule_of(make_algorithm(rule)), "/p", false);
      table.update({});
      const std::vector<double> found = values_of(param->data());
      for (std::size_t i = 0; i < p.size(); ++i) {
        const double expected = reference(w.expression, p[i], g[i], {});
        if (std::isnan(expected)) {
          ASSERT_TRUE(std::isnan(found[i])) << rule.name << " " << kinds << " element " << i;
        } else {
          ASSERT_NEAR(found[i], expected, 1e-14 * std::max(1.0, std::abs(expected)))
              << rule.name << " " << kinds << " element " << i;
        }
      }
    }
  }
}

// Whatever the table does around a built-in rule it does around a traced one.
TEST(Traced, HooksStatisticsAndHalvesAreThoseOfABuiltInRule) {
  Writer w;
  w.results(w.make(Op::subtract, w.param(), w.make(Op::multiply, w.field(0), w.grad())), {});
  TracedRule sgd;
  sgd.name = "traced SGD";
  sgd.fields = {{"lr", 0.01, FieldKind::real}};
  sgd.variants.push_back({{}, {}, w.expression});
  const auto algorithm = make_algorithm(sgd);
  for (const Dtype dtype : {Dtype::float64, Dtype::float32, Dtype::float16, Dtype::bfloat16}) {
    for (const int hooks : {0, 1, 2}) {
      for (const bool observed : {false, true}) {
        UpdateTable tables[2];
        Ref<VariableImpl> params[2];
        Ref<UpdateRule> rules[2];
        for (int k = 0; k < 2; ++k) {
          params[k] = parameter(noise(5000, 1), noise(5000, 2), dtype);
          rules[k] = k == 0 ? rule_of(algorithm) : testing::rule_of("SGD");
          if (hooks > 0) {
            rules[k]->hooks.push_back(
                make_ref<GradientHook>(GradientHook::Kind::weight_decay, 0.1));
          }
          // A second bound is more than a fused program can do.
          for (int i = 0; hooks > 1 && i < 2; ++i) {
            rules[k]->hooks.push_back(
                make_ref<GradientHook>(GradientHook::Kind::hard_clip, -0.5, 0.25));
            rules[k]->hooks.push_back(make_ref<GradientHook>(GradientHook::Kind::lasso, 0.1));
          }
          rules[k]->observed = observed;
          tables[k].add(params[k], rules[k], "/p", false);
          UpdateOptions options;
          options.clear_gradients = true;
          tables[k].update(options);
        }
        // One rounding apart: of the product, or of the sum alone.
        const double unit = dtype == Dtype::float64   ? 1e-15
                            : dtype == Dtype::float32 ? 5e-7
                            : dtype == Dtype::float16 ? 0x1p-10
                                                      : 0x1p-7;
        const std::vector<double> found = values_of(params[0]->data());
        const std::vector<double> expected = values_of(params[1]->data());
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_NEAR(found[i], expected[i], unit) << dtype << " " << hooks << " " << observed;
        }
        EXPECT_EQ(values_of(params[0]->grad().array()), std::vector<double>(5000));
        EXPECT_EQ(rules[0]->observed_at, observed ? 1 : 0);
        for (int k = 0; k < update::kStatistics; ++k) {
          const double sum = rules[1]->statistics[k];
          EXPECT_NEAR(rules[0]->statistics[k], sum, k == update::kLost ? 5 : 1e-5 * sum)
              << dtype << " " << hooks << " statistic " << k;
        }
      }
    }
  }
}

TEST(Traced, SwitchesChooseAmongVariants) {
  TracedRule rule;
  rule.name = "switched";
  rule.fields = {{"lr", 0.5, FieldKind::real}, {"heavy", 0, FieldKind::boolean}};
  rule.states = {{"v", 1.0}};
  {
    Writer w;
    w.results(w.make(Op::subtract, w.param(), w.make(Op::multiply, w.field(0), w.grad())), {});
    rule.variants.push_back({{{1, false}}, {}, w.expression});
  }
  {
    Writer w;
    const int v = w.make(Op::add, w.state(0), w.grad());
    w.results(w.make(Op::subtract, w.param(), v), {v});
    rule.variants.push_back({{{1, true}}, {0}, w.expression});
  }
  const auto algorithm = make_algorithm(rule);
  const auto param = parameter({1}, {2});
  const auto values = make_ref<Hyperparameter>(default_hyperparameter(*algorithm));
  const auto own = make_ref<UpdateRule>(algorithm.get(), values);
  UpdateTable table;
  table.add(param, own, "/p", false);
  table.update({});
  EXPECT_EQ(values_of(param->data())[0], 0);
  EXPECT_FALSE(own->has_states());
  values->set(intern("heavy"), Value::real(1));
  table.update({});
  EXPECT_EQ(values_of(own->state(0))[0], 3);
  EXPECT_EQ(values_of(param->data())[0], -3);
}

TEST(Traced, AnAlgorithmLivesAsLongAsSomebodyPointsToIt) {
  const auto param = parameter({1}, {1});
  UpdateTable table;
  {
    auto algorithm = make_algorithm(traced_adam(0.001));
    EXPECT_EQ(algorithm->use_count(), 1u);
    auto rule = rule_of(algorithm);
    EXPECT_EQ(algorithm->use_count(), 3u);  // the rule, and the values that know its names
    table.add(param, rule, "/p", false);
  }
  table.update({});
  EXPECT_NEAR(values_of(param->data())[0], 0.999, 1e-6);
}

TEST(Traced, RefusesWhatIsNotWellFormed) {
  const auto refused = [](auto spoil) {
    TracedRule rule = traced_adam(0.001);
    spoil(rule);
    EXPECT_THROW(make_algorithm(rule), ValueError);
  };
  refused([](TracedRule& r) { r.variants.clear(); });
  refused([](TracedRule& r) { r.fields[0].value = std::numeric_limits<double>::infinity(); });
  refused([](TracedRule& r) { r.fields[1].name = "lr"; });
  refused([](TracedRule& r) { r.fields.resize(1); });
  refused([](TracedRule& r) { r.states[1].name = "m"; });
  refused([](TracedRule& r) { r.states.resize(5, {"x", 0}); });
  refused([](TracedRule& r) { r.variants[0].states = {0, 2}; });
  refused([](TracedRule& r) { r.variants[0].states = {1, 1}; });
  refused([](TracedRule& r) { r.variants[0].states = {-1, 1}; });
  refused([](TracedRule& r) { r.variants[0].states = {0}; });
  refused([](TracedRule& r) { r.variants[0].switches = {{9, true}}; });
  refused([](TracedRule& r) { r.variants[0].expression.param = 1000; });
  refused([](TracedRule& r) { r.variants[0].expression.states[0] = -1; });
  refused([](TracedRule& r) { r.variants[0].expression.nodes.back().argument[0] = 1 << 20; });
  refused([](TracedRule& r) {
    auto& nodes = r.variants[0].expression.nodes;
    nodes.back().argument[1] = static_cast<int>(nodes.size()) - 1;
  });
  refused([](TracedRule& r) {
    for (auto& node : r.variants[0].expression.nodes) {
      if (node.op == Op::state) node.place = 2;
    }
  });
  refused([](TracedRule& r) { r.variants[0].expression.nodes[0].op = Op::count; });
  EXPECT_THROW(RuleExpression::op_named("cos"), ValueError);
}

}  // namespace
}  // namespace chainrule::testing
