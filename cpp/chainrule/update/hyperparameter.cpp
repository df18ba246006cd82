#include "chainrule/update/hyperparameter.h"

#include <algorithm>

#include "chainrule/core/error.h"

namespace chainrule {

Value Value::of_field(const update::Field& field) {
  Kind kind = Kind::real;
  if (field.kind == update::FieldKind::integer) kind = Kind::integer;
  if (field.kind == update::FieldKind::boolean) kind = Kind::boolean;
  return {kind, true, field.value, {}};
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
  ++version_;
  for (auto& [own, held] : values_) {
    if (own == name) {
      held = std::move(value);
      return;
    }
  }
  values_.emplace_back(name, std::move(value));
}

bool Hyperparameter::erase(Name name) {
  const auto found = std::find_if(values_.begin(), values_.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found == values_.end()) return false;
  ++version_;
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
  return cat("[hyperparam] no such hyperparameter", of, ": got '", name, "'",
             suggestion(name, known));
}

Ref<Hyperparameter> default_hyperparameter(const Algorithm& algorithm) {
  auto out = make_ref<Hyperparameter>(nullptr, &algorithm);
  for (const update::Field& field : algorithm.fields) {
    out->set(intern(field.name), Value::of_field(field));
  }
  return out;
}

}  // namespace chainrule
