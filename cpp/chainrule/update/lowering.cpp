#include "chainrule/update/lowering.h"

#include <algorithm>

#include "chainrule/core/error.h"
#include "chainrule/update/register_allocation.h"
#include "chainrule/update/scalar_pool.h"

namespace chainrule {
namespace {

using Op = RuleExpression::Op;
using Node = RuleExpression::Node;
using update::Opcode;

// Turns the varying nodes of an expression into instructions over virtual registers. Factors that
// are the same for all elements are gathered and multiplied on the host; a sum takes a product,
// a quotient or a function that nobody else needs into its own instruction.
class Lowering {
 public:
  explicit Lowering(const RuleExpression& expression)
      : nodes_(expression.nodes),
        varying_(expression.varying()),
        scalar_(nodes_.size(), -1),
        value_(nodes_.size(), -1),
        uses_(nodes_.size(), 0) {
    one_ = scalars.constant(1);
    nothing_ = scalars.constant(-0.0);  // what added leaves every number as it is, zeros too
    mark(expression.param);
    for (const int state : expression.states) mark(state);
  }

  // The place of a node's value, which may be one of the inputs.
  int value(int node) {
    if (!varying(node)) return fill(scalar(node));
    int& place = value_[index(node)];
    if (place < 0) {
      const int made = emit(node);  // may move value_
      value_[index(node)] = made;
      return made;
    }
    return place;
  }
  // A copy of an input, made before anything is written.
  int copied(int place) { return add(Opcode::copy, {place}, {}); }
  bool is_input(int place) const { return place < update::kRegisterPlaces; }

  ScalarPool scalars;
  std::vector<VirtualInstruction> code;

 private:
  // A node as a factor times another.
  struct Scaled {
    int scale;
    int base;
  };

  static std::size_t index(int node) { return static_cast<std::size_t>(node); }
  const Node& at(int node) const { return nodes_[index(node)]; }
  bool varying(int node) const { return varying_[index(node)]; }
  int argument(int node, int k) const { return at(node).argument[k]; }

  // Counts uses of what the results need.
  void mark(int node) {
    if (++uses_[index(node)] > 1) return;
    for (int k = 0; k < RuleExpression::arguments_of(at(node).op); ++k) mark(argument(node, k));
  }

  // A node of the host's part.
  int scalar(int node) {
    int& known = scalar_[index(node)];
    if (known >= 0) return known;
    const Node& n = at(node);
    int made = -1;
    if (RuleExpression::arguments_of(n.op) == 0) {
      made = scalars.leaf(n);
    } else {
      int arguments[3] = {-1, -1, -1};
      for (int k = 0; k < RuleExpression::arguments_of(n.op); ++k) {
        arguments[k] = scalar(argument(node, k));
      }
      made = scalars.make(n.op, arguments[0], arguments[1], arguments[2]);
    }
    scalar_[index(node)] = made;
    return made;
  }

  int add(Opcode opcode, std::initializer_list<int> operands, std::initializer_list<int> factors) {
    VirtualInstruction instruction{};
    instruction.code = opcode;
    std::copy(operands.begin(), operands.end(), instruction.operand);
    std::copy(factors.begin(), factors.end(), instruction.scalar);
    instruction.out = update::kRegisterPlaces + static_cast<int>(code.size());
    code.push_back(instruction);
    return instruction.out;
  }
  int fill(int scalar_node) { return add(Opcode::fill, {}, {scalar_node}); }

  bool is_scaling(int node) const {
    const Op op = at(node).op;
    if (op == Op::negative) return true;
    if (op == Op::divide) return varying(argument(node, 0)) && !varying(argument(node, 1));
    return op == Op::multiply && varying(argument(node, 0)) != varying(argument(node, 1));
  }
  Scaled scaled(int node) {
    Scaled out{one_, node};
    while (value_[index(out.base)] < 0 && is_scaling(out.base)) {
      const int a = argument(out.base, 0);
      const Op op = at(out.base).op;
      if (op == Op::negative) {
        out = {scalars.negative(out.scale), a};
      } else if (op == Op::divide) {
        out = {scalars.quotient(out.scale, scalar(argument(out.base, 1))), a};
      } else {
        const int b = argument(out.base, 1);
        const bool first = varying(a);
        out = {scalars.product(out.scale, scalar(first ? b : a)), first ? a : b};
      }
    }
    return out;
  }
  // The same where only one of several factors is gathered: products of factors could leave
  // the range of a float.
  Scaled scaled_beside(int node, const Scaled& other) {
    const Scaled out = scaled(node);
    return scalars.is_one(other.scale) || scalars.is_one(out.scale) ? out : Scaled{one_, node};
  }

  static bool is_function(Op op) {
    return op == Op::absolute || op == Op::sign || op == Op::sqrt || op == Op::exp ||
           op == Op::expm1 || op == Op::log || op == Op::log1p || op == Op::tanh || op == Op::floor;
  }
  bool is_product(int node) const {
    const Op op = at(node).op;
    return (op == Op::multiply || op == Op::divide || op == Op::square) && !is_scaling(node);
  }
  // Whether nobody but `node` needs what lies between it and `base`, base included.
  bool is_private(int node, int base) const {
    for (int n = node;; n = varying(argument(n, 0)) ? argument(n, 0) : argument(n, 1)) {
      if (uses_[index(n)] > 1 || value_[index(n)] >= 0) return false;
      if (n == base) return true;
    }
  }
  // A node that is a factor times another.
  int emit_scaling(int node) {
    const Scaled x = scaled(node);
    const int inner = argument(node, varying(argument(node, 0)) ? 0 : 1);
    return emit_affine(x, is_private(inner, x.base), nothing_);
  }
  // scale * node + offset, the offset being the same for all elements.
  int emit_offset(int scale, int node, int offset) {
    const Scaled x = scaled(node);
    return emit_affine({scalars.product(scale, x.scale), x.base}, is_private(node, x.base), offset);
  }
  // The same where nobody else needs x.base, if it is `free`.
  int emit_affine(const Scaled& x, bool free, int offset) {
    const int factor = x.scale;
    if (free) {
      if (is_product(x.base)) return emit_product(factor, x.base, offset, -1);
      if (is_function(at(x.base).op)) return emit_function(x.base, factor, offset);
    }
    if (scalars.is_one(factor) && offset == nothing_) return value(x.base);
    return add(Opcode::affine, {value(x.base)}, {factor, offset});
  }

  // scale * product + s1 * c, or + s1 where there is no c.
  int emit_product(int scale, int node, int s1, int c) {
    const int a = argument(node, 0);
    if (at(node).op == Op::square) {
      const int x = value(a);
      if (c < 0) return add(Opcode::multiply, {x, x}, {scale, s1});
      return add(Opcode::multiply_add, {x, x, value(c)}, {scale, s1});
    }
    const int b = argument(node, 1);
    const bool divides = at(node).op == Op::divide;
    if (divides && !varying(a)) {
      const Scaled y = scaled(b);
      const int factor = scalars.quotient(scalars.product(scale, scalar(a)), y.scale);
      const int divisor = value(y.base);
      if (c < 0) return add(Opcode::reciprocal, {divisor}, {factor, s1});
      return add(Opcode::reciprocal_add, {divisor, value(c)}, {factor, s1});
    }
    const Scaled x = scaled(a);
    const Scaled y = scaled_beside(b, x);
    const int gathered = scalars.product(scale, x.scale);
    const int factor =
        divides ? scalars.quotient(gathered, y.scale) : scalars.product(gathered, y.scale);
    const int first = value(x.base);
    if (c < 0) {
      return add(divides ? Opcode::divide : Opcode::multiply, {first, value(y.base)}, {factor, s1});
    }
    const int third = value(c);
    const bool is_own = is_private(b, y.base);
    const int second = value(y.base);
    if (!divides) return add(Opcode::multiply_add, {first, second, third}, {factor, s1});
    if (is_own && is_root(second)) {
      const VirtualInstruction root = code.back();
      code.pop_back();
      return add(Opcode::divide_root_add, {first, root.operand[0], third},
                 {factor, root.scalar[0], root.scalar[3], s1});
    }
    return add(Opcode::divide_add, {first, second, third}, {factor, s1});
  }

  // Whether a value is a root, or a root and a summand, that has been emitted last: as in most
  // rules with second moments.
  bool is_root(int place) const {
    if (code.empty() || code.back().out != place) return false;
    const VirtualInstruction& last = code.back();
    return last.code == Opcode::sqrt && last.scalar[1] == nothing_ && last.scalar[2] == one_;
  }

  int emit_sum(int node) {
    const bool subtracts = at(node).op == Op::subtract;
    const int a = argument(node, 0);
    const int b = argument(node, 1);
    const int sign = subtracts ? scalars.negative(one_) : one_;
    if (!varying(b)) {
      const int offset = scalar(b);
      return emit_offset(one_, a, subtracts ? scalars.negative(offset) : offset);
    }
    if (!varying(a)) return emit_offset(sign, b, scalar(a));
    Scaled x = scaled(a);
    Scaled y = scaled(b);
    y.scale = scalars.product(sign, y.scale);
    if (is_product(y.base) && is_private(b, y.base)) {
      return emit_product(y.scale, y.base, x.scale, x.base);
    }
    if (is_product(x.base) && is_private(a, x.base)) {
      return emit_product(x.scale, x.base, y.scale, y.base);
    }
    const int first = value(x.base);
    return add(Opcode::combine, {first, value(y.base)}, {x.scale, y.scale});
  }

  static Opcode function_code(Op op) {
    switch (op) {
      case Op::absolute:
        return Opcode::abs;
      case Op::sign:
        return Opcode::sign;
      case Op::floor:
        return Opcode::floor;
      case Op::sqrt:
        return Opcode::sqrt;
      case Op::exp:
        return Opcode::exp;
      case Op::expm1:
        return Opcode::expm1;
      case Op::log:
        return Opcode::log;
      case Op::log1p:
        return Opcode::log1p;
      default:
        return Opcode::tanh;
    }
  }
  // scale * f(...) + offset, with a factor and an offset inside as well.
  int emit_function(int node, int scale, int offset) {
    const int inner = argument(node, 0);
    int sign = one_;
    int shift = nothing_;
    int body = inner;
    const Op op = at(inner).op;
    if ((op == Op::add || op == Op::subtract) && value_[index(inner)] < 0) {
      const int a = argument(inner, 0);
      const int b = argument(inner, 1);
      const bool subtracts = op == Op::subtract;
      if (!varying(b)) {
        body = a;
        shift = subtracts ? scalars.negative(scalar(b)) : scalar(b);
      } else if (!varying(a)) {
        body = b;
        shift = scalar(a);
        if (subtracts) sign = scalars.negative(one_);
      }
    }
    const Scaled x = scaled(body);
    return add(function_code(at(node).op), {value(x.base)},
               {scalars.product(sign, x.scale), shift, scale, offset});
  }

  // An operation of two arguments of which the second, or after an exchange the first, may be
  // the same for all elements.
  int emit_binary(int node, Opcode both, Opcode second_scalar, Opcode first_scalar) {
    const int a = argument(node, 0);
    const int b = argument(node, 1);
    if (!varying(b)) return add(second_scalar, {value(a)}, {scalar(b)});
    if (!varying(a)) return add(first_scalar, {value(b)}, {scalar(a)});
    const int first = value(a);
    return add(both, {first, value(b)}, {});
  }

  int emit_minimum(int node) {
    // min(max(x, low), high)
    for (int k = 0; k < 2; ++k) {
      const int inner = argument(node, k);
      const int high = argument(node, 1 - k);
      if (varying(high) || !varying(inner) || at(inner).op != Op::maximum) continue;
      if (!is_private(inner, inner)) continue;
      const int j = varying(argument(inner, 0)) ? 0 : 1;
      const int low = argument(inner, 1 - j);
      if (varying(low)) continue;
      return add(Opcode::clip, {value(argument(inner, j))}, {scalar(low), scalar(high)});
    }
    return emit_binary(node, Opcode::minimum, Opcode::minimum_s, Opcode::minimum_s);
  }

  int emit_where(int node) {
    const int condition = value(argument(node, 0));
    const int a = argument(node, 1);
    const int b = argument(node, 2);
    if (varying(a) && varying(b)) {
      const int first = value(a);
      return add(Opcode::select, {condition, first, value(b)}, {});
    }
    if (varying(a)) return add(Opcode::select_vs, {condition, value(a)}, {scalar(b)});
    if (varying(b)) return add(Opcode::select_sv, {condition, value(b)}, {scalar(a)});
    return add(Opcode::select_ss, {condition}, {scalar(a), scalar(b)});
  }

  int emit(int node) {
    switch (at(node).op) {
      case Op::param:
        return update::kParamPlace;
      case Op::grad:
        return update::kGradPlace;
      case Op::state:
        return update::kStatePlaces + at(node).place;
      case Op::add:
      case Op::subtract:
        return emit_sum(node);
      case Op::negative:
        return emit_scaling(node);
      case Op::multiply:
      case Op::divide:
      case Op::square:
        if (is_scaling(node)) return emit_scaling(node);
        return emit_product(one_, node, nothing_, -1);
      case Op::power:
        return emit_binary(node, Opcode::power, Opcode::power_s, Opcode::power_of_s);
      case Op::minimum:
        return emit_minimum(node);
      case Op::maximum:
        return emit_binary(node, Opcode::maximum, Opcode::maximum_s, Opcode::maximum_s);
      case Op::less:
        return emit_binary(node, Opcode::less, Opcode::less_s, Opcode::greater_s);
      case Op::less_equal:
        return emit_binary(node, Opcode::less_equal, Opcode::less_equal_s, Opcode::greater_equal_s);
      case Op::equal:
        return emit_binary(node, Opcode::equal, Opcode::equal_s, Opcode::equal_s);
      case Op::not_equal:
        return emit_binary(node, Opcode::not_equal, Opcode::not_equal_s, Opcode::not_equal_s);
      case Op::where:
        return emit_where(node);
      default:
        return emit_function(node, one_, nothing_);
    }
  }

  const std::vector<Node>& nodes_;
  std::vector<bool> varying_;
  std::vector<int> scalar_;
  std::vector<int> value_;
  std::vector<int> uses_;
  int one_ = 0;
  int nothing_ = 0;
};

struct Attempt {
  ScalarPool scalars;
  VirtualCode code;
};

// Emits everything, results in the given order: the parameter's first or last.
Attempt attempt(const RuleExpression& expression, bool param_first) {
  Lowering lowering(expression);
  Attempt out;
  const auto emit = [&](int node, int place) {
    const int value = lowering.value(node);
    // An input that goes somewhere else is read before anything is written.
    if (value != place) out.code.results.push_back({place, value});
  };
  if (param_first) emit(expression.param, update::kParamPlace);
  for (std::size_t k = 0; k < expression.states.size(); ++k) {
    emit(expression.states[k], update::kStatePlaces + static_cast<int>(k));
  }
  if (!param_first) emit(expression.param, update::kParamPlace);
  out.code.instructions = std::move(lowering.code);
  out.scalars = std::move(lowering.scalars);
  return out;
}

}  // namespace

LoweredRule::LoweredRule(const RuleExpression& expression, int fields) {
  expression.check(fields);
  Attempt chosen = attempt(expression, false);
  AllocatedCode allocated = allocate_registers(chosen.code);
  {
    Attempt other = attempt(expression, true);
    AllocatedCode candidate = allocate_registers(other.code);
    if (candidate.instructions.size() < allocated.instructions.size()) {
      chosen = std::move(other);
      allocated = std::move(candidate);
    }
  }
  const std::vector<Node>& pool = chosen.scalars.nodes();

  // Scalars that instructions use: coefficients, then constants.
  std::vector<int> constants;
  const auto place_in = [](std::vector<int>& list, int node) {
    const auto found = std::find(list.begin(), list.end(), node);
    if (found == list.end()) list.push_back(node);
    return static_cast<int>(found - list.begin());
  };
  const auto each_scalar = [&](const auto& f) {
    for (VirtualInstruction& instruction : allocated.instructions) {
      for (int k = 0; k < update::scalars_of(instruction.code); ++k) f(instruction.scalar[k]);
    }
  };
  each_scalar([&](int& s) { place_in(chosen.scalars.is_constant(s) ? constants : coefs_, s); });
  const auto refuse = [](const char* what, std::size_t count, int most) {
    throw ValueError(cat("[update_rule] the rule is too large: ", count, " ", what,
                         ", expected at most ", most));
  };
  if (coefs_.size() > update::kMaxCoefs) {
    refuse("different numbers computed from hyperparameters", coefs_.size(), update::kMaxCoefs);
  }
  if (constants.size() > update::kMaxConstants) {
    refuse("different constants", constants.size(), update::kMaxConstants);
  }
  if (allocated.instructions.size() > update::kMaxInstructions) {
    refuse("instructions", allocated.instructions.size(), update::kMaxInstructions);
  }
  if (allocated.register_count > update::kMaxRegisters) {
    refuse("values needed at the same time", static_cast<std::size_t>(allocated.register_count),
           update::kMaxRegisters);
  }
  const int coef_count = static_cast<int>(coefs_.size());
  each_scalar([&](int& s) {
    s = chosen.scalars.is_constant(s) ? coef_count + place_in(constants, s) : place_in(coefs_, s);
  });
  for (const int node : constants) constants_.push_back(chosen.scalars.value(node));
  for (const VirtualInstruction& from : allocated.instructions) {
    update::Instruction to{};
    to.code = from.code;
    to.out = static_cast<std::uint8_t>(from.out);
    for (int k = 0; k < 3; ++k) to.operand[k] = static_cast<std::uint8_t>(from.operand[k]);
    for (int k = 0; k < update::kMaxScalarOperands; ++k) {
      to.scalar[k] = static_cast<std::uint8_t>(from.scalar[k]);
    }
    code_.push_back(to);
  }

  // What coefficients need of the pool, and whether the step's number is among it.
  std::vector<bool> needed(pool.size(), false);
  for (const int coef : coefs_) needed[static_cast<std::size_t>(coef)] = true;
  for (std::size_t i = pool.size(); i-- > 0;) {
    if (!needed[i]) continue;
    if (pool[i].op == Op::t) constant_ = false;
    for (int k = 0; k < RuleExpression::arguments_of(pool[i].op); ++k) {
      needed[static_cast<std::size_t>(pool[i].argument[k])] = true;
    }
  }
  room_ = pool.size();
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (!needed[i]) continue;
    if (pool[i].op == Op::constant) {
      known_.emplace_back(i, pool[i].value);
    } else {
      scalars_.emplace_back(i, pool[i]);
    }
  }
  program_ = {code_.data(),
              constants_.data(),
              static_cast<std::int32_t>(code_.size()),
              static_cast<std::int16_t>(allocated.register_count),
              static_cast<std::int16_t>(coef_count),
              static_cast<std::int16_t>(constants_.size()),
              static_cast<std::int16_t>(expression.states.size())};
  machine_code_ = cpu::TracedCode(program_);
  program_.loop[0] = machine_code_.loop(Dtype::float32);
  program_.loop[1] = machine_code_.loop(Dtype::float64);
}

}  // namespace chainrule
