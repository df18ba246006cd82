#include "chainrule/update/expression.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "chainrule/core/error.h"
#include "chainrule/update/name.h"

namespace chainrule {
namespace {

using Op = Expression::Op;
using Domain = Expression::Domain;

constexpr Expression::Number kSteps{"steps", Domain::positive, 0};
constexpr Expression::Number kBegin{"begin", Domain::real, 0, false};

// In the order of Op.
constexpr Expression::Description kDescriptions[] = {
    {Op::number, "number", nullptr, 0, {}, {{{"value", Domain::real, 0}}}},
    {Op::inherit, "inherit", nullptr, 0, {}, {}},
    {Op::step, "step", nullptr, 0, {}, {}},
    {Op::negative, "negative", "-", 4, {"x"}, {}},
    {Op::add, "add", "+", 2, {"a", "b"}, {}},
    {Op::subtract, "subtract", "-", 2, {"a", "b"}, {}},
    {Op::multiply, "multiply", "*", 3, {"a", "b"}, {}},
    {Op::divide, "divide", "/", 3, {"a", "b"}, {}},
    {Op::power, "power", "**", 5, {"a", "b"}, {}},
    {Op::minimum, "minimum", nullptr, 0, {"a", "b"}, {}},
    {Op::maximum, "maximum", nullptr, 0, {"a", "b"}, {}},
    {Op::less, "less", "<", 1, {"a", "b"}, {}},
    {Op::less_equal, "less_equal", "<=", 1, {"a", "b"}, {}},
    {Op::greater, "greater", ">", 1, {"a", "b"}, {}},
    {Op::greater_equal, "greater_equal", ">=", 1, {"a", "b"}, {}},
    {Op::equal, "equal", "==", 1, {"a", "b"}, {}},
    {Op::not_equal, "not_equal", "!=", 1, {"a", "b"}, {}},
    {Op::linear, "linear", nullptr, 0, {"start", "end"}, {{kSteps, kBegin}}},
    {Op::cosine, "cosine", nullptr, 0, {"start", "end"}, {{kSteps, kBegin}}},
    {Op::polynomial,
     "polynomial",
     nullptr,
     0,
     {"start", "end"},
     {{kSteps, {"power", Domain::positive, 0}, kBegin}}},
    {Op::exponential,
     "exponential",
     nullptr,
     0,
     {"start", "rate"},
     {{{"steps", Domain::positive, 1, false}, kBegin, {"staircase", Domain::flag, 0, false}}}},
    {Op::piecewise, "piecewise", nullptr, 0, {}, {}},
    {Op::warmup, "warmup", nullptr, 0, {"start"}, {{kSteps}}},
    {Op::after, "after", nullptr, 0, {}, {{{"n", Domain::count, 0}}}},
    {Op::before, "before", nullptr, 0, {}, {{{"n", Domain::count, 0}}}},
    {Op::every, "every", nullptr, 0, {}, {{{"n", Domain::positive_count, 0}}}},
};

constexpr bool in_order() {
  int place = 0;
  for (const auto& description : kDescriptions) {
    if (static_cast<int>(description.op) != place++) return false;
  }
  return true;
}
static_assert(in_order());

constexpr double kGreatestCount = 9007199254740992.0;  // beyond it, not every count is a double

const char* complaint(Domain domain, double value) {
  if (!std::isfinite(value)) return "a finite number";
  const bool counted = value == std::floor(value) && value <= kGreatestCount;
  switch (domain) {
    case Domain::real:
      return nullptr;
    case Domain::positive:
      return value > 0 ? nullptr : "a positive number";
    case Domain::count:
      return counted && value >= 0 ? nullptr : "a whole number, not negative";
    case Domain::positive_count:
      return counted && value > 0 ? nullptr : "a positive whole number";
    case Domain::flag:
      return value == 0 || value == 1 ? nullptr : "True or False";
  }
  return nullptr;
}

}  // namespace

int Expression::Description::arg_count() const {
  return static_cast<int>(
      std::count_if(args.begin(), args.end(), [](const char* arg) { return arg; }));
}

int Expression::Description::number_count() const {
  return static_cast<int>(
      std::count_if(numbers.begin(), numbers.end(), [](const Number& n) { return n.name; }));
}

std::span<const Expression::Description> Expression::descriptions() { return kDescriptions; }

const Expression::Description& Expression::describe(std::string_view name) {
  std::vector<std::string> known;
  for (const Description& description : kDescriptions) {
    if (name == description.name) return description;
    known.emplace_back(description.name);
  }
  throw ValueError(cat("[expression] no such op: got '", name, "'", suggestion(name, known)));
}

Expression::Expression(Op op, std::vector<Ref<Expression>> args, std::vector<double> numbers)
    : op_(op), args_(std::move(args)), numbers_(std::move(numbers)) {
  uses_inherit_ = op == Op::inherit;
  uses_step_ = op == Op::step || (op >= Op::linear && op <= Op::every);
  size_ += static_cast<std::int64_t>(numbers_.size());
  for (const Ref<Expression>& arg : args_) {
    if (!arg) throw TypeError(cat("[", describe(op).name, "] an argument is missing"));
    uses_step_ |= arg->uses_step_;
    uses_inherit_ |= arg->uses_inherit_;
    depth_ = std::max(depth_, arg->depth_ + 1);
    size_ += arg->size_;
  }
  if (depth_ > kMaxDepth) {
    throw ValueError(cat("[expression] nested too deeply: got ", depth_,
                         " levels, expected at most ", kMaxDepth));
  }
  if (size_ > kMaxSize) {
    throw ValueError(
        cat("[expression] too large: got ", size_, " terms, expected at most ", kMaxSize));
  }
  check_numbers();
  for (std::size_t i = 0; i < std::min<std::size_t>(args_.size(), 2); ++i) {
    if (args_[i]->op_ == Op::number) {
      near_.values[i] = args_[i]->numbers_[0];
    } else {
      near_.expressions[i] = args_[i].get();
    }
  }
  std::copy_n(numbers_.begin(), std::min<std::size_t>(numbers_.size(), 3), near_.numbers);
}

void Expression::check_numbers() const {
  const Description& what = describe(op_);
  if (op_ == Op::piecewise) {
    if (args_.size() != numbers_.size() + 1) {
      throw ValueError(cat("[piecewise] expected one value more than boundaries: got ",
                           args_.size(), " values and ", numbers_.size(), " boundaries"));
    }
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (!std::isfinite(numbers_[i]) || (i > 0 && numbers_[i] <= numbers_[i - 1])) {
        throw ValueError(cat("[piecewise] boundaries must be finite and rise: got ",
                             i > 0 ? number_text(numbers_[i - 1]) + ", " : "",
                             number_text(numbers_[i])));
      }
    }
    return;
  }
  const std::size_t args = static_cast<std::size_t>(what.arg_count());
  const std::size_t count = static_cast<std::size_t>(what.number_count());
  if (args_.size() != args || numbers_.size() != count) {
    throw ValueError(cat("[", what.name, "] wrong number of parts: got ", args_.size(),
                         " expressions and ", numbers_.size(), " numbers, expected ", args, " and ",
                         count));
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (const char* expected = complaint(what.numbers[i].domain, numbers_[i])) {
      throw ValueError(cat("[", what.name, "] ", what.numbers[i].name, ": got ",
                           number_text(numbers_[i]), ", expected ", expected));
    }
  }
}

Ref<Expression> Expression::number(double value) { return make(Op::number, {}, {value}); }

Ref<Expression> Expression::make(Op op,
                                 std::vector<Ref<Expression>> args,
                                 std::vector<double> numbers) {
  return Ref<Expression>(new Expression(op, std::move(args), std::move(numbers)));
}

// How much of the way a schedule has gone.
double Expression::progress(double step) const {
  const double begin = near_.numbers[op_ == Op::polynomial ? 2 : 1];
  return std::clamp((step - begin) / near_.numbers[0], 0.0, 1.0);
}

double Expression::piece(double step, double inherited) const {
  const auto at = std::upper_bound(numbers_.begin(), numbers_.end(), step);
  return args_[static_cast<std::size_t>(at - numbers_.begin())]->evaluate_at(step, inherited);
}

double Expression::evaluate_at(double step, double inherited) const {
  double a = 0, b = 0;
  if (op_ >= Op::negative && op_ <= Op::exponential) {
    a = arg(0, step, inherited);
    if (op_ != Op::negative) b = arg(1, step, inherited);
  }
  switch (op_) {
    case Op::number:
      return near_.numbers[0];
    case Op::inherit:
      return inherited;
    case Op::step:
      return step;
    case Op::negative:
      return -a;
    case Op::add:
      return a + b;
    case Op::subtract:
      return a - b;
    case Op::multiply:
      return a * b;
    case Op::divide:
      return a / b;
    case Op::power:
      return std::pow(a, b);
    case Op::minimum:
      return a < b || a != a ? a : b;
    case Op::maximum:
      return a > b || a != a ? a : b;
    case Op::less:
      return a < b;
    case Op::less_equal:
      return a <= b;
    case Op::greater:
      return a > b;
    case Op::greater_equal:
      return a >= b;
    case Op::equal:
      return a == b;
    case Op::not_equal:
      return a != b;
    case Op::linear: {
      const double u = progress(step);
      return u == 1 ? b : a + (b - a) * u;
    }
    case Op::cosine:
      return b + (a - b) * ((1 + std::cos(std::numbers::pi * progress(step))) / 2);
    case Op::polynomial:
      return b + (a - b) * std::pow(1 - progress(step), near_.numbers[1]);
    case Op::exponential: {
      const double u = std::max(step - near_.numbers[1], 0.0) / near_.numbers[0];
      return a * std::pow(b, near_.numbers[2] != 0 ? std::floor(u) : u);
    }
    case Op::piecewise:
      return piece(step, inherited);
    case Op::warmup: {
      const double start = arg(0, step, inherited);
      const double u = std::clamp(step / near_.numbers[0], 0.0, 1.0);
      return u == 1 ? 1 : start + (1 - start) * u;
    }
    case Op::after:
      return step >= near_.numbers[0];
    case Op::before:
      return step < near_.numbers[0];
    case Op::every:
      return std::fmod(step, near_.numbers[0]) == 0;
  }
  return 0;
}

}  // namespace chainrule
