#include "chainrule/update/hyperparameter.h"

#include <algorithm>
#include <atomic>

#include "chainrule/core/error.h"

namespace chainrule {
namespace {

std::atomic<std::int64_t> changes{0};

}  // namespace

std::int64_t values_version() { return changes.load(std::memory_order_relaxed); }

Value Value::of_field(const update::Field& field) {
  Kind kind = Kind::real;
  if (field.kind == update::FieldKind::integer) kind = Kind::integer;
  if (field.kind == update::FieldKind::boolean) kind = Kind::boolean;
  return {kind, true, field.value, {}};
}

Value Value::of_expression(Ref<Expression> expression) {
  return {Kind::expression, true, 0, {}, std::move(expression)};
}

Hyperparameter::Hyperparameter(Ref<Hyperparameter> parent, const Algorithm* strict)
    : parent_(std::move(parent)), strict_(strict) {
  if (parent_) depth_ = parent_->depth_ + 1;
  if (depth_ > kMaxDepth) {
    throw ValueError(
        cat("[hyperparam] too many ancestors: got ", depth_, ", expected at most ", kMaxDepth));
  }
}

const Value* Hyperparameter::find(Name name) const {
  for (const Hyperparameter* h = this; h; h = h->parent_.get()) {
    for (const auto& [own, value] : h->values_) {
      if (own == name) return &value;
    }
  }
  return nullptr;
}

void Hyperparameter::set(Name name, Value value) {
  if (strict_ && strict_->find_field(name) < 0) throw AttributeError(unknown(*name));
  if (value.kind == Value::Kind::expression && value.expression->uses_inherit() && !parent_) {
    throw ValueError(cat("[hyperparam] '", *name, "' has no parent to inherit from: got '",
                         value.expression->text(), "'"));
  }
  ++version_;
  changes.fetch_add(1, std::memory_order_relaxed);
  for (auto& [own, held] : values_) {
    if (own == name) {
      held = std::move(value);
      return;
    }
  }
  values_.emplace_back(name, std::move(value));
}

std::vector<const Value*> Hyperparameter::lineage(Name name) const {
  std::vector<const Value*> out;
  for (const Hyperparameter* h = this; h; h = h->parent_.get()) {
    for (const auto& [own, value] : h->values_) {
      if (own != name) continue;
      out.push_back(&value);
      if (value.kind != Value::Kind::expression || !value.expression->uses_inherit()) return out;
    }
  }
  return out;
}

double Hyperparameter::evaluate(Name name) const {
  const std::vector<const Value*> values = lineage(name);
  if (values.empty()) throw AttributeError(unknown(*name));
  double number = 0;
  for (auto at = values.rbegin(); at != values.rend(); ++at) {
    const Value& value = **at;
    if (!value.numeric) {
      throw TypeError(cat("[hyperparam] '", *name, "' of the parent is no number to inherit"));
    }
    if (value.kind != Value::Kind::expression) {
      number = value.number;
    } else if (value.expression->uses_inherit() && at == values.rbegin()) {
      throw AttributeError(cat("[hyperparam] no parent has '", *name, "' to inherit: got '",
                               value.expression->text(), "'"));
    } else {
      number = value.expression->evaluate(step(), number);
    }
  }
  return number;
}

const Clock* Hyperparameter::clock() const {
  for (const Hyperparameter* h = this; h; h = h->parent_.get()) {
    if (h->clock_) return h->clock_.get();
  }
  return nullptr;
}

bool Hyperparameter::erase(Name name) {
  const auto found = std::find_if(values_.begin(), values_.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found == values_.end()) return false;
  ++version_;
  changes.fetch_add(1, std::memory_order_relaxed);
  values_.erase(found);
  return true;
}

std::vector<std::pair<Name, const Value*>> Hyperparameter::items() const {
  std::vector<std::pair<Name, const Value*>> out;
  if (parent_) out = parent_->items();
  for (const auto& [name, value] : values_) {
    const auto found = std::find_if(out.begin(), out.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (found == out.end()) {
      out.emplace_back(name, &value);
    } else {
      found->second = &value;
    }
  }
  return out;
}

std::string Hyperparameter::unknown(std::string_view name) const {
  std::vector<std::string> known;
  if (strict_) {
    known = strict_->known_fields();
  } else {
    for (const auto& [own, value] : items()) known.push_back(*own);
  }
  const std::string of = strict_ ? " of " + strict_->name : "";
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    return cat("[hyperparam] '", name, "'", of, " is not set, neither here nor on a parent");
  }
  return cat("[hyperparam] no such hyperparameter", of, ": got '", name, "'",
             suggestion(name, known));
}

Ref<Hyperparameter> default_hyperparameter(const Algorithm& algorithm) {
  auto out = make_ref<Hyperparameter>(nullptr, &algorithm);
  const Name origin = intern("default of " + algorithm.name);
  for (const update::Field& field : algorithm.fields) {
    Value value = Value::of_field(field);
    value.origin = origin;
    out->set(intern(field.name), std::move(value));
  }
  return out;
}

}  // namespace chainrule
