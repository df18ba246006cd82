#include "algorithm.h"

#include <pybind11/stl.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "chainrule/core/error.h"
#include "chainrule/update/traced.h"
#include "update.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

using Fields = std::vector<std::tuple<std::string, double, std::string>>;
using States = std::vector<std::pair<std::string, double>>;
using Nodes = std::vector<std::tuple<std::string, std::vector<int>, double, int>>;
using Variants = std::vector<
    std::tuple<std::vector<std::pair<int, bool>>, std::vector<int>, Nodes, int, std::vector<int>>>;

update::FieldKind kind_of(const std::string& name) {
  if (name == "integer") return update::FieldKind::integer;
  if (name == "boolean") return update::FieldKind::boolean;
  return update::FieldKind::real;
}

Ref<Algorithm> make(std::string name,
                    const Fields& fields,
                    const States& states,
                    const Variants& variants) {
  TracedRule rule;
  rule.name = std::move(name);
  for (const auto& [field, value, kind] : fields) {
    rule.fields.push_back({field, value, kind_of(kind)});
  }
  // Which of them hold squares is not known: in 8 bits all get the decades that squares need.
  for (const auto& [state, initial] : states) rule.states.push_back({state, initial, true});
  for (const auto& [switches, places, nodes, param, results] : variants) {
    TracedRule::Variant variant{switches, places, {}};
    for (const auto& [op, arguments, value, place] : nodes) {
      RuleExpression::Node node{RuleExpression::op_named(op)};
      if (arguments.size() != static_cast<std::size_t>(RuleExpression::arguments_of(node.op))) {
        throw ValueError(cat("[update_rule] ", op, " of ", arguments.size(), " arguments"));
      }
      for (std::size_t k = 0; k < arguments.size(); ++k) node.argument[k] = arguments[k];
      node.value = value;
      node.place = place;
      variant.expression.nodes.push_back(node);
    }
    variant.expression.param = param;
    variant.expression.states = results;
    rule.variants.push_back(std::move(variant));
  }
  // Only const references to it are left when it is handed out.
  return Ref<Algorithm>(const_cast<Algorithm*>(make_algorithm(rule).get()));
}

// What a traced rule says of each of its variants.
template <class Text>
auto of_variants(Text text) {
  return [text](const Algorithm& self) {
    std::vector<std::string> out;
    for (const auto& variant : self.variants) out.push_back(((*variant.lowered).*text)());
    return out;
  };
}

}  // namespace

const Algorithm* algorithm_from(py::handle object) {
  if (object.is_none()) return nullptr;
  if (py::isinstance<Algorithm>(object)) return &object.cast<const Algorithm&>();
  return &find_algorithm(object.cast<std::string>());
}

py::object algorithm_to_python(const Algorithm* algorithm) {
  if (!algorithm) return py::none();
  if (!algorithm->variants[0].lowered) return py::str(algorithm->name);
  return py::cast(Ref<Algorithm>(const_cast<Algorithm*>(algorithm)));
}

void bind_algorithm(py::module_& m) {
  Class<Algorithm, Ref<Algorithm>>(m, "Algorithm", "An update rule made at run time.")
      .def(py::init(&make), py::arg("name"), py::arg("fields"), py::arg("states"),
           py::arg("variants"),
           "fields: (name, default, 'real', 'integer' or 'boolean'); states: (name, first value);\n"
           "variants: (switches, states, nodes, new parameter, new states), a node being\n"
           "(operation, arguments, value, place).")
      .def_property_readonly("name", [](const Algorithm& self) { return self.name; })
      .def_property_readonly("listings", of_variants(&LoweredRule::listing),
                             "The instructions of each variant, one a line.")
      .def_property_readonly(
          "problems", of_variants(&LoweredRule::problem),
          "Why the CPU interprets each variant; empty where it runs machine code.");
}

}  // namespace chainrule::python
