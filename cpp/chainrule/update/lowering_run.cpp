#include <algorithm>

#include "chainrule/core/error.h"
#include "chainrule/update/lowering.h"

// What a lowered rule does once it is made.
namespace chainrule {
namespace {

using Op = RuleExpression::Op;

}  // namespace

void LoweredRule::prepare(const double* values, const update::Step& step, double* coefs) const {
  constexpr std::size_t kRoom = 128;
  double room[kRoom];
  std::vector<double> more;
  double* results = room;
  if (room_ > kRoom) {
    more.resize(room_);
    results = more.data();
  }
  for (const auto& [place, value] : known_) results[place] = value;
  for (const auto& [place, node] : scalars_) {
    // The commonest without a call: this runs for every row.
    const double a = node.argument[0] < 0 ? 0 : results[node.argument[0]];
    const double b = node.argument[1] < 0 ? 0 : results[node.argument[1]];
    double& out = results[place];
    switch (node.op) {
      case Op::field:
        out = values[node.place];
        break;
      case Op::t:
        out = static_cast<double>(step.t);
        break;
      case Op::negative:
        out = -a;
        break;
      case Op::add:
        out = a + b;
        break;
      case Op::subtract:
        out = a - b;
        break;
      case Op::multiply:
        out = a * b;
        break;
      case Op::divide:
        out = a / b;
        break;
      default: {
        const double c = node.argument[2] < 0 ? 0 : results[node.argument[2]];
        const double arguments[] = {a, b, c};
        out = evaluate(node.op, arguments, &step);
      }
    }
  }
  for (std::size_t k = 0; k < coefs_.size(); ++k) coefs[k] = results[coefs_[k]];
}

std::string LoweredRule::listing() const {
  const auto place = [](int at) {
    if (at == update::kParamPlace) return std::string("p");
    if (at == update::kGradPlace) return std::string("g");
    if (at < update::kRegisterPlaces) return cat("s", at - update::kStatePlaces);
    return cat("r", at - update::kRegisterPlaces);
  };
  std::string out;
  for (const update::Instruction& i : code_) {
    out += cat(place(i.out), " = ", update::name_of(i.code));
    for (int k = 0; k < update::operands_of(i.code); ++k) out += " " + place(i.operand[k]);
    for (int k = 0; k < update::scalars_of(i.code); ++k) {
      const int at = i.scalar[k] - program_.coef_count;
      out += at < 0 ? cat(" c", static_cast<int>(i.scalar[k]))
                    : cat(" ", constants_[static_cast<std::size_t>(at)]);
    }
    out += "\n";
  }
  return out;
}

}  // namespace chainrule
