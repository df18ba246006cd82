#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chainrule/core/api.h"
#include "chainrule/core/ref.h"

namespace chainrule {

// A number that is computed when it is asked for, from the step of the optimizer (updates done
// before this one) and from the number that the parent of a Hyperparameter has under the same
// name. Immutable and shared; comparisons give 1 or 0.
class CHAINRULE_API Expression : public RefCounted {
 public:
  enum class Op : std::uint8_t {
    number,
    inherit,
    step,
    negative,
    add,
    subtract,
    multiply,
    divide,
    power,
    minimum,
    maximum,
    less,
    less_equal,
    greater,
    greater_equal,
    equal,
    not_equal,
    linear,
    cosine,
    polynomial,
    exponential,
    piecewise,
    warmup,
    after,
    before,
    every,
  };

  // What a number of an op may be. Steps may be any finite real unless they are counted.
  enum class Domain : std::uint8_t { real, positive, count, positive_count, flag };
  struct Number {
    const char* name;
    Domain domain;
    double initial;  // what it is where it is not given
    bool required = true;
  };
  // What an op is called, and what it is made of: `args` are expressions, `numbers` are not.
  struct Description {
    Op op;
    const char* name;
    const char* symbol;  // of an operator; null for what is written as a call
    int precedence;      // as in Python; 0 for calls
    std::array<const char*, 2> args;
    std::array<Number, 3> numbers;

    int arg_count() const;
    int number_count() const;
  };
  static std::span<const Description> descriptions();
  static const Description& describe(Op op) { return descriptions()[static_cast<std::size_t>(op)]; }
  // Throws a ValueError that names the nearest.
  static const Description& describe(std::string_view name);

  // More than this is refused, so that walking an expression takes little time and stack.
  static constexpr int kMaxDepth = 256;
  static constexpr std::int64_t kMaxSize = 4096;

  static Ref<Expression> number(double value);
  // Throws where the parts do not fit the op. `piecewise` has as many numbers (boundaries) as
  // it likes, and one more argument (values).
  static Ref<Expression> make(Op op,
                              std::vector<Ref<Expression>> args = {},
                              std::vector<double> numbers = {});

  Op op() const { return op_; }
  const std::vector<Ref<Expression>>& args() const { return args_; }
  const std::vector<double>& numbers() const { return numbers_; }
  bool uses_step() const { return uses_step_; }
  bool uses_inherit() const { return uses_inherit_; }

  // In double, as IEEE 754 has it: a division by zero is infinite. Does not allocate.
  double evaluate(std::int64_t step, double inherited) const {
    return evaluate_at(static_cast<double>(step), inherited);
  }

  // As one writes it in Python; `inherited` stands for `inherit`.
  std::string text(std::string_view inherited = "inherit") const;

 private:
  Expression(Op op, std::vector<Ref<Expression>> args, std::vector<double> numbers);
  double evaluate_at(double step, double inherited) const;
  double arg(int i, double step, double inherited) const {
    return near_.expressions[i] ? near_.expressions[i]->evaluate_at(step, inherited)
                                : near_.values[i];
  }
  double progress(double step) const;
  double piece(double step, double inherited) const;
  void check_numbers() const;
  std::string call_text(std::string_view inherited) const;

  // What evaluation looks at stands together; thousands of schedules lie all over memory. Of the
  // first arguments and numbers, those that the op has; arguments that are numbers as such, with
  // no expression.
  struct Near {
    const Expression* expressions[2] = {};
    double values[2] = {};
    double numbers[3] = {};
  };

  Op op_;
  bool uses_step_ = false;
  bool uses_inherit_ = false;
  Near near_;
  int depth_ = 1;
  std::int64_t size_ = 1;
  std::vector<Ref<Expression>> args_;
  std::vector<double> numbers_;
};

// The shortest text that reads back as the same number, in Python's form: 0.0003, 3e-05, 1.0.
CHAINRULE_API std::string number_text(double value);

}  // namespace chainrule
