#include "chainrule/update/hyperparameter.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "algorithm.h"
#include "chainrule/core/error.h"
#include "expression.h"
#include "update.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

Value value_from_python(py::handle object) {
  PyObject* p = object.ptr();
  if (PyFloat_CheckExact(p)) return Value::real(PyFloat_AS_DOUBLE(p));
  if (PyBool_Check(p)) return {Value::Kind::boolean, true, p == Py_True ? 1.0 : 0.0, {}};
  if (py::isinstance<Expression>(object)) {
    return Value::of_expression(object.cast<Ref<Expression>>());
  }
  Value value{Value::Kind::object, false, 0, HostObject(object.inc_ref().ptr())};
  // Strings have no __float__, but float() reads them; they are no numbers here.
  if (PyNumber_Check(p) && !PyComplex_Check(p)) {
    const double number = PyFloat_AsDouble(p);
    if (number == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
    } else {
      value.numeric = true;
      value.number = number;
      if (PyLong_CheckExact(p) && std::abs(number) < 9007199254740992.0) {
        return {Value::Kind::integer, true, number, {}};
      }
    }
  }
  return value;
}

// Whether an object that has a number may have another one later, as a tensor that somebody fills:
// an algorithm's values are what they were set to.
bool may_change(py::handle object) {
  return !PyLong_Check(object.ptr()) &&
         !py::isinstance(object, py::module_::import("numpy").attr("generic"));
}

// As it was set.
py::object value_to_python(const Value& value) {
  switch (value.kind) {
    case Value::Kind::real:
      break;
    case Value::Kind::integer:
      return py::int_(static_cast<long long>(value.number));
    case Value::Kind::boolean:
      return py::bool_(value.number != 0);
    case Value::Kind::object:
      return py::reinterpret_borrow<py::object>(static_cast<PyObject*>(value.object.get()));
    case Value::Kind::expression:
      return py::cast(value.expression);
  }
  return py::float_(value.number);
}

// As it is now.
py::object present(const Hyperparameter& self, Name name, const Value& value) {
  if (value.kind != Value::Kind::expression) return value_to_python(value);
  return py::float_(self.evaluate(name));
}

py::object get(const Hyperparameter& self, const std::string& name) {
  const Value* value = self.find(intern(name));
  if (!value) throw AttributeError(self.unknown(name));
  return present(self, intern(name), *value);
}

py::object get_expression(const Hyperparameter& self, const std::string& name) {
  const Value* value = self.find(intern(name));
  if (!value) throw AttributeError(self.unknown(name));
  return value_to_python(*value);
}

// (value as it was set here, its origin or None); None where it is not set here.
py::object own(const Hyperparameter& self, const std::string& name) {
  for (const auto& [held, value] : self.own()) {
    if (*held != name) continue;
    const py::object origin = value.origin ? py::object(py::str(*value.origin)) : py::none();
    return py::make_tuple(value_to_python(value), origin);
  }
  return py::none();
}

void set_from(Hyperparameter& self,
              const std::string& name,
              py::handle object,
              const std::optional<std::string>& origin) {
  Value value = value_from_python(object);
  if (self.strict() && value.kind == Value::Kind::object && value.numeric && may_change(object)) {
    value = Value::real(value.number);
  }
  if (origin) value.origin = intern(*origin);
  if (self.strict() && self.strict()->find_field(intern(name)) >= 0 && !value.numeric) {
    throw TypeError(cat("[hyperparam] '", name, "' of ", self.strict()->name, " is no number: got ",
                        py::repr(object).cast<std::string>()));
  }
  self.set(intern(name), std::move(value));
}

void set(Hyperparameter& self, const std::string& name, py::handle object) {
  set_from(self, name, object, std::nullopt);
}

py::dict get_dict(const Hyperparameter& self) {
  py::dict out;
  for (const auto& [name, value] : self.items()) out[py::str(*name)] = present(self, name, *value);
  return out;
}

std::string repr(const Hyperparameter& self) {
  auto items = self.items();
  std::sort(items.begin(), items.end(),
            [](const auto& a, const auto& b) { return *a.first < *b.first; });
  std::string out = "Hyperparameter(";
  for (std::size_t i = 0; i < items.size(); ++i) {
    out += (i ? ", " : "") + *items[i].first + "=" +
           py::str(present(self, items[i].first, *items[i].second)).cast<std::string>();
  }
  return out + ")";
}

Ref<Hyperparameter> make(const std::optional<Ref<Hyperparameter>>& parent,
                         const py::object& algorithm) {
  return make_ref<Hyperparameter>(parent.value_or(nullptr), algorithm_from(algorithm));
}

// Copies and pickles: the parent goes along, as an object of its own, and so does the clock.
py::tuple save(const Hyperparameter& self) {
  py::list own;
  for (const auto& [name, value] : self.own()) {
    const py::object origin = value.origin ? py::object(py::str(*value.origin)) : py::none();
    own.append(py::make_tuple(*name, value_to_python(value), origin));
  }
  return py::make_tuple(self.parent(), algorithm_to_python(self.strict()), own, self.own_clock());
}

Ref<Hyperparameter> restore(const py::tuple& saved) {
  auto out = make(saved[0].cast<Ref<Hyperparameter>>(), saved[1]);
  for (const py::handle entry : saved[2]) {
    const auto [name, value, origin] =
        entry.cast<std::tuple<std::string, py::object, std::optional<std::string>>>();
    set_from(*out, name, value, origin);
  }
  out->set_clock(saved[3].cast<Ref<Clock>>());
  return out;
}

}  // namespace

void bind_hyperparameter(py::module_& m) {
  Class<Hyperparameter, Ref<Hyperparameter>>(
      m, "Hyperparameter",
      "Named values of an optimizer or of one update rule.\n\n"
      "Entries are set and read as attributes. What is not set here is read from the parent,\n"
      "which is how a change of ``optimizer.lr`` reaches every parameter without a rate of its\n"
      "own; deleting an entry lets the parent's be seen again. Built-in rules take the names\n"
      "they know and refuse others.\n\n"
      "Args:\n"
      "    parent: The Hyperparameter that provides the values not set here.\n\n"
      "Example:\n"
      "    >>> parent = Hyperparameter()\n"
      "    >>> parent.lr = 0.1\n"
      "    >>> child = Hyperparameter(parent)\n"
      "    >>> child.lr\n"
      "    0.1\n"
      "    >>> child.lr = 10.0\n"
      "    >>> parent.lr, child\n"
      "    (0.1, Hyperparameter(lr=10.0))\n")
      .def(py::init(
               [](const Ref<Hyperparameter>& parent) { return make_ref<Hyperparameter>(parent); }),
           py::arg("parent") = py::none())
      .def_static("_make", &make, py::arg("parent"), py::arg("algorithm"),
                  "With an algorithm's name, only its fields can be set.")
      .def_property_readonly(
          "parent", [](const Hyperparameter& self) { return self.parent(); },
          "Where values that are not set here come from, or None.")
      .def("get_dict", &get_dict,
           "All entries that can be read here, inherited ones included, as a dict.")
      .def("get_expression", &get_expression, py::arg("name"),
           "What an entry was set to, here or in the nearest ancestor: the expression where\n"
           "reading the attribute gives today's number.")
      .def("_set", &set_from, py::arg("name"), py::arg("value"), py::arg("origin"),
           "Sets an entry and says who did.")
      .def("_own", &own, py::arg("name"))
      .def("_set_clock", &Hyperparameter::set_clock, py::arg("clock"),
           "Says which count expressions follow, here and in what has this as a parent.")
      .def("__getattr__", &get)
      .def("__setattr__", &set)
      .def("__delattr__",
           [](Hyperparameter& self, const std::string& name) {
             if (!self.erase(intern(name))) {
               throw AttributeError(cat("[hyperparam] '", name, "' is not set here"));
             }
           })
      .def("__dir__",
           [](const py::object& self) {
             py::list names = py::module_::import("builtins").attr("object").attr("__dir__")(self);
             for (const auto& [name, value] : self.cast<const Hyperparameter&>().items()) {
               names.append(*name);
             }
             return names;
           })
      .def("__repr__", &repr)
      .def(py::pickle(&save, &restore));

  m.def("values_version", &values_version, "Grows when any hyperparameter is set or deleted.");
  m.def(
      "update_rules",
      [] {
        py::dict out;
        for (const Algorithm& algorithm : algorithms()) {
          py::dict fields = get_dict(*default_hyperparameter(algorithm));
          py::list states;
          for (const auto& state : algorithm.states) states.append(state.name);
          out[py::str(algorithm.name)] = py::make_tuple(fields, states);
        }
        return out;
      },
      "The built-in update rules: name -> (hyperparameters with defaults, names of states).");
  m.def(
      "default_hyperparameter",
      [](const py::object& algorithm) {
        const Algorithm* found = algorithm_from(algorithm);
        if (!found) throw TypeError("[hyperparam] got None, expected an algorithm");
        return default_hyperparameter(*found);
      },
      py::arg("algorithm"), "The defaults of an update rule.");
}

}  // namespace chainrule::python
