#pragma once

#include <vector>

#include "chainrule/update/rule_expression.h"

namespace chainrule {

// The part of a rule that is the same for all elements: nodes, equal ones merged, constants
// folded.
class ScalarPool {
 public:
  using Op = RuleExpression::Op;
  using Node = RuleExpression::Node;

  int constant(double value);
  int leaf(const Node& node) { return add(node); }
  int make(Op op, int a, int b = -1, int c = -1);
  int negative(int a) { return make(Op::negative, a); }
  // Without a node where one factor is 1.
  int product(int a, int b);
  int quotient(int a, int b);

  bool is_constant(int node) const { return at(node).op == Op::constant; }
  double value(int node) const { return at(node).value; }
  bool is_one(int node) const { return is_constant(node) && value(node) == 1; }
  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  const Node& at(int node) const { return nodes_[static_cast<std::size_t>(node)]; }
  int add(const Node& node);

  std::vector<Node> nodes_;
};

}  // namespace chainrule
