#include <charconv>
#include <cmath>

#include "chainrule/core/error.h"
#include "chainrule/update/expression.h"

namespace chainrule {
namespace {

using Op = Expression::Op;

constexpr int kComparison = 1;
constexpr int kNegative = 4;
constexpr int kPower = 5;

int precedence_of(const Expression& e) {
  if (e.op() == Op::number) return std::signbit(e.numbers()[0]) ? kNegative : kPower + 1;
  const int precedence = Expression::describe(e.op()).precedence;
  return precedence ? precedence : kPower + 1;
}

std::string bracketed(const Expression& e, int least, std::string_view inherited) {
  std::string text = e.text(inherited);
  return precedence_of(e) < least ? "(" + text + ")" : text;
}

// A bare number would be swallowed by an operator of Python's.
std::string constant(const Expression& e) { return "constant(" + e.text() + ")"; }

std::string number_of(Expression::Domain domain, double value) {
  using Domain = Expression::Domain;
  if (domain == Domain::flag) return value != 0 ? "True" : "False";
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  const bool counted = domain == Domain::count || domain == Domain::positive_count;
  if (counted || whole) return cat(static_cast<std::int64_t>(value));
  return number_text(value);
}

std::string operator_text(const Expression& e, std::string_view inherited) {
  const Expression::Description& what = Expression::describe(e.op());
  const Expression& a = *e.args()[0];
  if (e.op() == Op::negative) {
    return "-" + (a.op() == Op::number ? constant(a) : bracketed(a, kNegative, inherited));
  }
  const Expression& b = *e.args()[1];
  // Operators of one rank group to the left, the power to the right; comparisons not at all.
  const int rank = what.precedence;
  const bool to_left = rank != kComparison && rank != kPower;
  const std::string left = a.op() == Op::number && b.op() == Op::number
                               ? constant(a)
                               : bracketed(a, to_left ? rank : rank + 1, inherited);
  const int right = rank == kPower ? kNegative : rank + 1;
  return left + " " + what.symbol + " " + bracketed(b, right, inherited);
}

}  // namespace

std::string Expression::call_text(std::string_view inherited) const {
  const Description& what = describe(op_);
  std::string out = cat(what.name, "(");
  if (op_ == Op::piecewise) {
    out += "[";
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      out += (i ? ", " : "") + number_of(Domain::real, numbers_[i]);
    }
    out += "], [";
    for (std::size_t i = 0; i < args_.size(); ++i) {
      out += (i ? ", " : "") + args_[i]->text(inherited);
    }
    return out + "])";
  }
  bool first = true;
  const auto append = [&](const std::string& text) {
    out += (first ? "" : ", ") + text;
    first = false;
  };
  if (op_ == Op::warmup) {
    append(number_of(what.numbers[0].domain, numbers_[0]));
    if (args_[0]->op() != Op::number || args_[0]->numbers()[0] != 0) {
      append("start=" + args_[0]->text(inherited));
    }
    return out + ")";
  }
  for (const Ref<Expression>& arg : args_) append(arg->text(inherited));
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    const Number& number = what.numbers[i];
    const std::string text = number_of(number.domain, numbers_[i]);
    if (number.required) {
      append(text);
    } else if (numbers_[i] != number.initial) {
      append(cat(number.name, "=", text));
    }
  }
  return out + ")";
}

std::string Expression::text(std::string_view inherited) const {
  if (op_ == Op::number) return number_text(numbers_[0]);
  if (op_ == Op::inherit) return std::string(inherited);
  if (op_ == Op::step) return "step";
  return describe(op_).symbol ? operator_text(*this, inherited) : call_text(inherited);
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[32];
  char* end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* digits_end = text.data() + text.size();
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), digits_end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, end);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

}  // namespace chainrule
