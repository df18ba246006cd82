#include "chainrule/update/rule_expression.h"

#include <cmath>
#include <limits>

#include "chainrule/core/error.h"
#include "chainrule/update/plan.h"

namespace chainrule {
namespace {

using Op = RuleExpression::Op;

struct OpInfo {
  const char* name;
  int arguments;
};

constexpr OpInfo kOps[] = {
#define CHAINRULE_EXPRESSION_OP(name, arguments) {#name, arguments},
    CHAINRULE_EXPRESSION_OPS(CHAINRULE_EXPRESSION_OP)
#undef CHAINRULE_EXPRESSION_OP
};

constexpr std::size_t kMaxNodes = 4096;

}  // namespace

int RuleExpression::arguments_of(Op op) { return kOps[static_cast<std::size_t>(op)].arguments; }
const char* RuleExpression::name_of(Op op) { return kOps[static_cast<std::size_t>(op)].name; }

RuleExpression::Op RuleExpression::op_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kOps); ++i) {
    if (kOps[i].name == name) return static_cast<Op>(i);
  }
  throw ValueError(cat("[update_rule] no such operation: got '", name, "'"));
}

void RuleExpression::check(int fields) const {
  const auto refuse = [](auto... what) { throw ValueError(cat("[update_rule] ", what...)); };
  if (nodes.size() > kMaxNodes) {
    refuse("a rule of ", nodes.size(), " operations, expected at most ", kMaxNodes);
  }
  if (states.size() > update::kMaxStates) {
    refuse("a rule with ", states.size(), " states, expected at most ", update::kMaxStates);
  }
  const int count = static_cast<int>(nodes.size());
  for (int i = 0; i < count; ++i) {
    const Node& node = nodes[static_cast<std::size_t>(i)];
    if (node.op >= Op::count) refuse("node ", i, " has no such operation");
    for (int k = 0; k < arguments_of(node.op); ++k) {
      if (node.argument[k] < 0 || node.argument[k] >= i) {
        refuse("argument ", k, " of node ", i, " is no earlier node: got ", node.argument[k]);
      }
    }
    const int places = node.op == Op::field   ? fields
                       : node.op == Op::state ? static_cast<int>(states.size())
                                              : 1;
    if (node.place < 0 || node.place >= places) {
      refuse("node ", i, ", ", name_of(node.op), ": no such place: got ", node.place);
    }
  }
  const auto check_output = [&](int output) {
    if (output < 0 || output >= count) refuse("a result is no node: got ", output);
  };
  check_output(param);
  for (const int state : states) check_output(state);
}

std::vector<bool> RuleExpression::varying() const {
  std::vector<bool> out;
  for (const Node& node : nodes) {
    bool varies = node.op == Op::param || node.op == Op::grad || node.op == Op::state;
    for (int k = 0; k < arguments_of(node.op); ++k) {
      varies = varies || out[static_cast<std::size_t>(node.argument[k])];
    }
    out.push_back(varies);
  }
  return out;
}

double evaluate(Op op, const double* x, const update::Step* step) {
  const double a = x[0];
  const double b = x[1];
  switch (op) {
    case Op::negative:
      return -a;
    case Op::absolute:
      return std::fabs(a);
    case Op::sign:
      return a > 0 ? 1 : a < 0 ? -1 : a;
    case Op::square:
      return a * a;
    case Op::sqrt:
      return std::sqrt(a);
    case Op::exp:
      return std::exp(a);
    case Op::expm1:
      return std::expm1(a);
    case Op::log:
      return std::log(a);
    case Op::log1p:
      return std::log1p(a);
    case Op::tanh:
      return std::tanh(a);
    case Op::floor:
      return std::floor(a);
    case Op::add:
      return a + b;
    case Op::subtract:
      return a - b;
    case Op::multiply:
      return a * b;
    case Op::divide:
      return a / b;
    case Op::power:
      // beta^t is the same for many rows.
      if (step && b == static_cast<double>(step->t)) return step->power(a);
      return std::pow(a, b);
    case Op::minimum:
      return a < b || a != a ? a : b;
    case Op::maximum:
      return a > b || a != a ? a : b;
    case Op::less:
      return a < b ? 1 : 0;
    case Op::less_equal:
      return a <= b ? 1 : 0;
    case Op::equal:
      return a == b ? 1 : 0;
    case Op::not_equal:
      return a != b ? 1 : 0;
    case Op::where:
      return a != 0 ? b : x[2];
    case Op::constant:
    case Op::field:
    case Op::t:
    case Op::param:
    case Op::grad:
    case Op::state:
    case Op::count:
      break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace chainrule
