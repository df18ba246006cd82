#include "chainrule/update/scalar_pool.h"

#include <bit>
#include <cstdint>

namespace chainrule {
namespace {

// Equal to the bit, so that zeros keep their signs.
bool same(const RuleExpression::Node& a, const RuleExpression::Node& b) {
  return a.op == b.op && a.place == b.place && a.argument[0] == b.argument[0] &&
         a.argument[1] == b.argument[1] && a.argument[2] == b.argument[2] &&
         std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value);
}

}  // namespace

int ScalarPool::add(const Node& node) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (same(nodes_[i], node)) return static_cast<int>(i);
  }
  nodes_.push_back(node);
  return static_cast<int>(nodes_.size()) - 1;
}

int ScalarPool::constant(double value) {
  Node node{Op::constant};
  node.value = value;
  return add(node);
}

int ScalarPool::make(Op op, int a, int b, int c) {
  const int count = RuleExpression::arguments_of(op);
  const int arguments[3] = {a, b, c};
  Node node{op};
  double values[3] = {};
  bool known = true;
  for (int k = 0; k < count; ++k) {
    node.argument[k] = arguments[k];
    known = known && is_constant(arguments[k]);
    values[k] = value(arguments[k]);
  }
  return known ? constant(evaluate(op, values, nullptr)) : add(node);
}

int ScalarPool::product(int a, int b) {
  if (is_one(a)) return b;
  if (is_one(b)) return a;
  return make(Op::multiply, a, b);
}

int ScalarPool::quotient(int a, int b) { return is_one(b) ? a : make(Op::divide, a, b); }

}  // namespace chainrule
