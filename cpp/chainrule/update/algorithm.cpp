#include "chainrule/update/algorithm.h"

#include <algorithm>
#include <cstring>

#include "chainrule/core/error.h"
#include "chainrule/update/rule_list.h"
#include "chainrule/update/tensor_rules/tensor_rule.h"

namespace chainrule {
namespace {

using update::Step;

template <class Rule>
typename Rule::Values values_of(const double* values) {
  typename Rule::Values out;
  static_assert(sizeof(out) == sizeof(double) * std::size(Rule::fields),
                "a rule's Values hold one double per field");
  std::memcpy(&out, values, sizeof(out));
  return out;
}

template <class Rule>
bool selected(const double* values) {
  if constexpr (requires(const typename Rule::Values& h) { Rule::selected(h); }) {
    return Rule::selected(values_of<Rule>(values));
  } else {
    return true;
  }
}

template <class Rule>
constexpr bool is_constant = requires(const typename Rule::Values& h) { Rule::prepare(h); };

template <class Rule>
constexpr bool uses_scalars() {
  if constexpr (requires { Rule::uses_scalars; }) {
    return Rule::uses_scalars;
  } else {
    return requires { Rule::scalars; };
  }
}

template <class Rule>
void prepare(const double* values, const Step& step, double* coefs) {
  typename Rule::template Coefs<double> result;
  if constexpr (is_constant<Rule>) {
    result = Rule::prepare(values_of<Rule>(values));
  } else {
    result = Rule::prepare(values_of<Rule>(values), step);
  }
  std::memcpy(coefs, &result, sizeof(result));
}

template <class Rule>
void refine(const double* values,
            const Step& step,
            std::int64_t size,
            const double* sums,
            double* coefs) {
  typename Rule::template Coefs<double> refined;
  std::memcpy(&refined, coefs, sizeof(refined));
  Rule::refine(values_of<Rule>(values), step, size, sums, refined);
  std::memcpy(coefs, &refined, sizeof(refined));
}

template <class Rule>
int place_of_keep() {
  using Coefs = typename Rule::template Coefs<double>;
  if constexpr (requires(Coefs c) { c.keep; }) {
    Coefs coefs{};
    return static_cast<int>(&coefs.keep - reinterpret_cast<double*>(&coefs));
  } else {
    return -1;
  }
}

template <class Rule>
void begin(const double* values, double* scalars) {
  Rule::begin(values_of<Rule>(values), scalars);
}

template <class Rule>
void describe(Algorithm& out) {
  static_assert(std::size(Rule::fields) <= kMaxFields);
  out.name = Rule::name;
  for (const update::Field& field : Rule::fields) {
    out.fields.push_back(field);
    out.field_names.push_back(intern(field.name));
  }
  if constexpr (requires { Rule::scalars; }) {
    static_assert(Rule::scalars.count <= kMaxScalars);
    for (int i = 0; i < Rule::scalars.count; ++i) out.scalars.push_back(Rule::scalars.name[i]);
    out.begin = begin<Rule>;
  }
}

template <class Rule>
void add_algorithm(std::deque<Algorithm>& all, std::int16_t number) {
  if (all.empty() || all.back().name != Rule::name) {
    describe<Rule>(all.emplace_back());
    all.back().retain();  // for ever
  }
  Algorithm& algorithm = all.back();
  Algorithm::Variant variant{number,
                             {},
                             0,
                             is_constant<Rule>,
                             uses_scalars<Rule>(),
                             selected<Rule>,
                             prepare<Rule>,
                             0,
                             false,
                             nullptr,
                             true,
                             place_of_keep<Rule>(),
                             {}};
  variant.coef_count = sizeof(typename Rule::template Coefs<double>) / sizeof(double);
  if constexpr (update::count_sums<Rule>() > 0) {
    variant.sums = Rule::sums;
    variant.additive = false;
    variant.refine = refine<Rule>;
    if constexpr (requires { Rule::shared_sums; }) variant.shared_sums = Rule::shared_sums;
  }
  if constexpr (requires { Rule::reads_param; }) variant.additive = false;
  for (int i = 0; i < Rule::states.count; ++i) {
    int place = algorithm.find_state(Rule::states.name[i]);
    if (place < 0) {
      place = static_cast<int>(algorithm.states.size());
      double initial = 0;
      if constexpr (requires { Rule::initial; }) initial = Rule::initial[i];
      bool square = false;
      if constexpr (requires { Rule::squares; }) square = Rule::squares[i];
      algorithm.states.push_back({Rule::states.name[i], initial, square});
    }
    variant.states.push_back(static_cast<std::int8_t>(place));
  }
  algorithm.variants.push_back(std::move(variant));
}

template <class Rule>
void add_rule(std::deque<Algorithm>& all, std::int16_t number) {
  if constexpr (!requires { Rule::is_stage; }) add_algorithm<Rule>(all, number);
}

template <class... Rules>
std::deque<Algorithm>* build(functors::List<Rules...>) {
  auto* all = new std::deque<Algorithm>;
  std::int16_t number = 0;
  (add_rule<Rules>(*all, number++), ...);
  for (const TensorRule* tensor : tensor_rules()) {
    for (Algorithm& algorithm : *all) {
      if (algorithm.name != tensor->name) continue;
      algorithm.tensor = tensor;
      algorithm.first_tensor_state = static_cast<int>(algorithm.states.size());
      for (const char* state : tensor->states) algorithm.states.push_back({state, 0, false});
    }
  }
  return all;
}

}  // namespace

const Algorithm::Variant& Algorithm::variant(const double* values) const {
  for (const Variant& candidate : variants) {
    if (candidate.selected(values)) return candidate;
  }
  throw Error(cat("[", name, "] no variant of the rule is for these hyperparameters"));
}

bool Algorithm::measures() const {
  return std::any_of(variants.begin(), variants.end(),
                     [](const Variant& variant) { return variant.sums > 0; });
}

int Algorithm::find_state(std::string_view state) const {
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i].name == state) return static_cast<int>(i);
  }
  return -1;
}

int Algorithm::find_field(Name field) const {
  for (std::size_t i = 0; i < field_names.size(); ++i) {
    if (field_names[i] == field) return static_cast<int>(i);
  }
  return -1;
}

bool Algorithm::shares_sums() const {
  return std::any_of(variants.begin(), variants.end(),
                     [](const Variant& variant) { return variant.shared_sums; });
}

std::vector<std::string> Algorithm::known_fields() const {
  std::vector<std::string> out;
  for (const update::Field& field : fields) out.emplace_back(field.name);
  return out;
}

const std::deque<Algorithm>& algorithms() {
  static const auto* all = build(update::Rules{});
  return *all;
}

const Algorithm& find_algorithm(std::string_view name) {
  std::vector<std::string> known;
  for (const Algorithm& algorithm : algorithms()) {
    if (algorithm.name == name) return algorithm;
    known.push_back(algorithm.name);
  }
  throw KeyError(cat("[update] no such rule: got ", name, suggestion(name, known)));
}

}  // namespace chainrule
