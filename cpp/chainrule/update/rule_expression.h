#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/update/rule.h"

namespace chainrule {

// A rule written as expressions: a list of nodes, each over earlier ones, and which of them are
// the parameter and the states after the update. What a tracer of the host language hands over.
struct CHAINRULE_API RuleExpression {
  // name, arguments
#define CHAINRULE_EXPRESSION_OPS(op)                                                           \
  op(constant, 0) op(field, 0) op(t, 0) op(param, 0) op(grad, 0) op(state, 0) op(negative, 1)  \
      op(absolute, 1) op(sign, 1) op(square, 1) op(sqrt, 1) op(exp, 1) op(expm1, 1) op(log, 1) \
          op(log1p, 1) op(tanh, 1) op(floor, 1) op(add, 2) op(subtract, 2) op(multiply, 2)     \
              op(divide, 2) op(power, 2) op(minimum, 2) op(maximum, 2) op(less, 2)             \
                  op(less_equal, 2) op(equal, 2) op(not_equal, 2) op(where, 3)

  enum class Op : std::uint8_t {
#define CHAINRULE_EXPRESSION_OP(name, arguments) name,
    CHAINRULE_EXPRESSION_OPS(CHAINRULE_EXPRESSION_OP)
#undef CHAINRULE_EXPRESSION_OP
        count,
  };

  struct Node {
    Op op;
    int argument[3] = {-1, -1, -1};  // earlier nodes
    double value = 0;                // of a constant
    int place = 0;                   // of a field or a state

    bool operator==(const Node&) const = default;
  };

  std::vector<Node> nodes;
  int param = -1;           // the parameter's new value
  std::vector<int> states;  // the states' new values

  static int arguments_of(Op op);
  static const char* name_of(Op op);
  // Throws a ValueError where there is none of this name.
  static Op op_named(std::string_view name);

  // Throws a ValueError where something points nowhere; `fields`: how many there are.
  void check(int fields) const;
  // By node: whether it differs from element to element.
  std::vector<bool> varying() const;
};

// The value of a node that is the same for all elements, `arguments` being those of its own.
CHAINRULE_API double evaluate(RuleExpression::Op op,
                              const double* arguments,
                              const update::Step* step);

}  // namespace chainrule
