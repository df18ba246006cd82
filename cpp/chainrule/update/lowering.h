#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/backend/cpu/traced_code.h"
#include "chainrule/core/api.h"
#include "chainrule/core/ref.h"
#include "chainrule/update/rule_expression.h"
#include "chainrule/update/traced_program.h"

namespace chainrule {

// An expression in two halves: what is the same for all elements is computed on the host, in
// double, once per row and step; the rest is a program for the devices. Never changes once made.
class CHAINRULE_API LoweredRule : public RefCounted {
 public:
  // Throws a ValueError where the expression is not well formed, or too large.
  LoweredRule(const RuleExpression& expression, int fields);

  const update::TracedProgram& program() const { return program_; }
  // Whether the coefficients depend on the hyperparameters alone.
  bool constant() const { return constant_; }
  // `coefs` has room for update::kMaxCoefs numbers.
  void prepare(const double* values, const update::Step& step, double* coefs) const;
  // Why the CPU interprets the program; empty where it runs machine code.
  const std::string& problem() const { return machine_code_.problem(); }
  // One instruction a line, to look at.
  std::string listing() const;

 private:
  // The host's part: how much room it takes, constants with their places, what is computed after
  // them in order, what of it are coefficients.
  std::size_t room_ = 0;
  std::vector<std::pair<int, double>> known_;
  std::vector<std::pair<int, RuleExpression::Node>> scalars_;  // place, node
  std::vector<int> coefs_;
  std::vector<update::Instruction> code_;
  std::vector<double> constants_;
  update::TracedProgram program_{};
  cpu::TracedCode machine_code_;
  bool constant_ = true;
};

}  // namespace chainrule
