#pragma once

#include <initializer_list>
#include <vector>

#include "chainrule/update/rule_expression.h"
#include "chainrule/update/traced.h"

// Expressions for the tests of traced rules.
namespace chainrule::testing {

using Op = RuleExpression::Op;

struct Writer {
  RuleExpression expression;

  int make(Op op, int a = -1, int b = -1, int c = -1) {
    RuleExpression::Node node{op};
    node.argument[0] = a;
    node.argument[1] = b;
    node.argument[2] = c;
    return add(node);
  }
  int constant(double value) {
    RuleExpression::Node node{Op::constant};
    node.value = value;
    return add(node);
  }
  int field(int place) { return placed(Op::field, place); }
  int state(int place) { return placed(Op::state, place); }
  int param() { return make(Op::param); }
  int grad() { return make(Op::grad); }
  int t() { return make(Op::t); }
  void results(int param, std::initializer_list<int> states) {
    expression.param = param;
    expression.states = states;
  }

 private:
  int placed(Op op, int place) {
    RuleExpression::Node node{op};
    node.place = place;
    return add(node);
  }
  int add(const RuleExpression::Node& node) {
    expression.nodes.push_back(node);
    return static_cast<int>(expression.nodes.size()) - 1;
  }
};

// Kingma, Ba, "Adam", as the paper's algorithm 1 has it; fields lr, beta1, beta2, eps.
inline Writer adam_expression() {
  Writer w;
  const int p = w.param();
  const int g = w.grad();
  const int lr = w.field(0);
  const int one = w.constant(1);
  const auto rest = [&](int x) { return w.make(Op::subtract, one, x); };
  const auto times = [&](int x, int y) { return w.make(Op::multiply, x, y); };
  const int beta1 = w.field(1);
  const int beta2 = w.field(2);
  const int m = w.make(Op::add, times(beta1, w.state(0)), times(rest(beta1), g));
  const int v = w.make(Op::add, times(beta2, w.state(1)), times(times(rest(beta2), g), g));
  const int t = w.t();
  const int m_hat = w.make(Op::divide, m, rest(w.make(Op::power, beta1, t)));
  const int v_hat = w.make(Op::divide, v, rest(w.make(Op::power, beta2, t)));
  const int below = w.make(Op::add, w.make(Op::sqrt, v_hat), w.field(3));
  w.results(w.make(Op::subtract, p, w.make(Op::divide, times(lr, m_hat), below)), {m, v});
  return w;
}

// The same as a user's rule.
inline TracedRule traced_adam(double lr) {
  using update::FieldKind;
  TracedRule rule;
  rule.name = "traced Adam";
  rule.fields = {{"lr", lr, FieldKind::real},
                 {"beta1", 0.9, FieldKind::real},
                 {"beta2", 0.999, FieldKind::real},
                 {"eps", 1e-8, FieldKind::real}};
  rule.states = {{"m", 0}, {"v", 0}};
  rule.variants.push_back({{}, {0, 1}, adam_expression().expression});
  return rule;
}

}  // namespace chainrule::testing
