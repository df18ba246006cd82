#include "expression.h"

#include <algorithm>
#include <optional>

#include "chainrule/core/error.h"
#include "chainrule/update/clock.h"
#include "chainrule/update/name.h"
#include "errors.h"
#include "update.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

using Operation = Expression::Op;
using Domain = Expression::Domain;

bool is_real(py::handle object) {
  if (PyFloat_Check(object.ptr()) || PyLong_Check(object.ptr())) return true;
  // NumPy's scalars, fractions; not arrays of one element.
  return py::isinstance(object, py::module_::import("numbers").attr("Real"));
}

double number_from(py::handle object, const char* op) {
  if (!is_real(object)) {
    throw TypeError(cat("[", op, "] expected a number: got ", type_name(object)));
  }
  const double number = PyFloat_AsDouble(object.ptr());
  if (number == -1.0 && PyErr_Occurred()) throw py::error_already_set();
  return number;
}

template <Operation op>
Ref<Expression> binary(const Ref<Expression>& a, const Operand& b) {
  return Expression::make(op, {a, b.expression});
}

template <Operation op>
Ref<Expression> reflected(const Ref<Expression>& a, const Operand& b) {
  return Expression::make(op, {b.expression, a});
}

// Python lets everything be compared for equality.
template <Operation op>
py::object compared(const Ref<Expression>& a, py::handle b) {
  const Ref<Expression> other = expression_or_null(b);
  if (!other) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
  return py::cast(Expression::make(op, {a, other}));
}

Ref<Expression> truth(const Ref<Expression>& e) {
  if (e->op() >= Operation::less && e->op() <= Operation::not_equal) return e;
  if (e->op() >= Operation::after) return e;
  return Expression::make(Operation::not_equal, {e, Expression::number(0)});
}

Ref<Expression> both(const Ref<Expression>& a, const Operand& b) {
  return Expression::make(Operation::multiply, {truth(a), truth(b.expression)});
}

Ref<Expression> either(const Ref<Expression>& a, const Operand& b) {
  return Expression::make(Operation::maximum, {truth(a), truth(b.expression)});
}

py::object number_to_data(double number, Domain domain) {
  if (domain == Domain::flag) return py::bool_(number != 0);
  if (domain == Domain::count || domain == Domain::positive_count) {
    return py::int_(static_cast<long long>(number));
  }
  return py::float_(number);
}

// {"multiply": [{"inherit": []}, 0.1]}, {"cosine": {"start": 0.1, "end": 0.0, ...}}
py::object to_data(const Expression& e) {
  if (e.op() == Operation::number) return py::float_(e.numbers()[0]);
  const Expression::Description& what = Expression::describe(e.op());
  py::dict out;
  if (e.op() == Operation::piecewise) {
    py::list boundaries, values;
    for (const double number : e.numbers()) boundaries.append(number);
    for (const Ref<Expression>& arg : e.args()) values.append(to_data(*arg));
    py::dict parts;
    parts["boundaries"] = boundaries;
    parts["values"] = values;
    out[what.name] = parts;
  } else if (e.numbers().empty()) {
    py::list parts;
    for (const Ref<Expression>& arg : e.args()) parts.append(to_data(*arg));
    out[what.name] = parts;
  } else {
    py::dict parts;
    for (std::size_t i = 0; i < e.args().size(); ++i) parts[what.args[i]] = to_data(*e.args()[i]);
    for (std::size_t i = 0; i < e.numbers().size(); ++i) {
      parts[what.numbers[i].name] = number_to_data(e.numbers()[i], what.numbers[i].domain);
    }
    out[what.name] = parts;
  }
  return out;
}

// Takes the entries of one op's dict by name, and complains of those that nobody took.
class Parts {
 public:
  Parts(py::handle data, const char* op) : op_(op) {
    if (!PyDict_Check(data.ptr())) {
      throw TypeError(cat("[", op, "] expected a dict of its parts: got ", type_name(data)));
    }
    for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(data)) {
      if (!PyUnicode_Check(key.ptr())) {
        throw TypeError(cat("[", op, "] a name is no string: got ", type_name(key)));
      }
      left_.emplace_back(key.cast<std::string>(), value);
    }
  }
  py::handle take(const char* name) {
    known_.emplace_back(name);
    for (auto& [key, value] : left_) {
      if (key != name) continue;
      const py::handle found = value;
      key.clear();
      return found;
    }
    throw ValueError(cat("[", op_, "] '", name, "' is missing"));
  }
  void finish() const {
    for (const auto& [key, value] : left_) {
      if (value && !key.empty()) {
        throw ValueError(cat("[", op_, "] no such part: got '", key, "'", suggestion(key, known_)));
      }
    }
  }

 private:
  const char* op_;
  std::vector<std::pair<std::string, py::handle>> left_;
  std::vector<std::string> known_;
};

py::list list_from(py::handle data, const char* op) {
  if (!PyList_Check(data.ptr()) && !PyTuple_Check(data.ptr())) {
    throw TypeError(cat("[", op, "] expected a list: got ", type_name(data)));
  }
  return py::list(py::reinterpret_borrow<py::object>(data));
}

Ref<Expression> from_data(py::handle data, int depth = 1) {
  if (depth > Expression::kMaxDepth) {
    throw ValueError(
        cat("[expression] nested too deeply: expected at most ", Expression::kMaxDepth, " levels"));
  }
  if (is_real(data)) return Expression::number(number_from(data, "expression"));
  if (!PyDict_Check(data.ptr()) || PyDict_Size(data.ptr()) != 1) {
    throw TypeError(cat("[expression] expected a number or a dict of one op: got ",
                        py::repr(data).cast<std::string>()));
  }
  const auto entry = *py::reinterpret_borrow<py::dict>(data).begin();
  if (!PyUnicode_Check(entry.first.ptr())) {
    throw TypeError(cat("[expression] an op's name is no string: got ", type_name(entry.first)));
  }
  const auto& what = Expression::describe(entry.first.cast<std::string>());
  std::vector<Ref<Expression>> args;
  std::vector<double> numbers;
  if (what.op == Operation::piecewise) {
    Parts parts(entry.second, what.name);
    for (const py::handle item : list_from(parts.take("boundaries"), what.name)) {
      numbers.push_back(number_from(item, what.name));
    }
    for (const py::handle item : list_from(parts.take("values"), what.name)) {
      args.push_back(from_data(item, depth + 1));
    }
    parts.finish();
  } else if (what.number_count() == 0) {
    for (const py::handle item : list_from(entry.second, what.name)) {
      args.push_back(from_data(item, depth + 1));
    }
  } else {
    Parts parts(entry.second, what.name);
    for (int i = 0; i < what.arg_count(); ++i) {
      args.push_back(from_data(parts.take(what.args[static_cast<std::size_t>(i)]), depth + 1));
    }
    for (int i = 0; i < what.number_count(); ++i) {
      const auto& number = what.numbers[static_cast<std::size_t>(i)];
      numbers.push_back(number_from(parts.take(number.name), what.name));
    }
    parts.finish();
  }
  return Expression::make(what.op, std::move(args), std::move(numbers));
}

// `self` is a Ref throughout: one that was never initialised has none, and is refused.
double call(const Ref<Expression>& self,
            std::int64_t step,
            const std::optional<double>& inherited) {
  if (self->uses_inherit() && !inherited) {
    throw ValueError(cat("[expression] '", self->text(), "' inherits: say from what number"));
  }
  return self->evaluate(step, inherited.value_or(0));
}

void bind_clock(py::module_& m) {
  Class<Clock, Ref<Clock>>(m, "Clock", "The count of an optimizer's updates.")
      .def(py::init([] { return make_ref<Clock>(); }))
      .def_property(
          "t", [](const Ref<Clock>& self) { return self->t; },
          [](const Ref<Clock>& self, std::int64_t t) { self->t = t; }, "Updates so far.")
      .def_property_readonly(
          "step", [](const Ref<Clock>& self) { return self->step(); },
          "Updates before the present or next one: what expressions see.")
      .def(
          "begin", [](const Ref<Clock>& self) { self->begin(); },
          "Counts an update that is on its way.")
      .def(
          "end", [](const Ref<Clock>& self) { self->end(); }, "To be called when it is over.")
      .def(py::pickle([](const Ref<Clock>& self) { return self->t; },
                      [](std::int64_t t) {
                        auto clock = make_ref<Clock>();
                        clock->t = t;
                        return clock;
                      }));
}

}  // namespace

Ref<Expression> expression_or_null(py::handle object) {
  if (py::isinstance<Expression>(object)) return object.cast<Ref<Expression>>();
  if (!is_real(object)) return {};
  const double number = PyFloat_AsDouble(object.ptr());
  if (number == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();  // an integer beyond all floats
    return {};
  }
  return Expression::number(number);
}

void bind_expression(py::module_& m) {
  bind_clock(m);
  Class<Expression, Ref<Expression>> c(
      m, "Expression",
      "A value that is computed at each step: see :mod:`chainrule.schedules`.\n\n"
      "Made by the functions there, by arithmetic and by comparisons, which give 1.0 or 0.0;\n"
      "``&``, ``|`` and ``~`` combine what is zero or not. Calling it gives its number at a "
      "step.\n\n"
      "Example:\n"
      "    >>> from chainrule.schedules import cosine, warmup\n"
      "    >>> rate = warmup(10) * cosine(1.0, 0.0, 100)\n"
      "    >>> rate, rate(50)\n"
      "    (warmup(10) * cosine(1.0, 0.0, 100), 0.5)\n");
  c.def_static(
       "_make",
       [](const std::string& op, const std::vector<Operand>& args, std::vector<double> numbers) {
         std::vector<Ref<Expression>> expressions;
         for (const Operand& arg : args) expressions.push_back(arg.expression);
         return Expression::make(Expression::describe(op).op, std::move(expressions),
                                 std::move(numbers));
       },
       py::arg("op"), py::arg("args"), py::arg("numbers"))
      .def("__add__", &binary<Operation::add>, py::is_operator())
      .def("__radd__", &reflected<Operation::add>, py::is_operator())
      .def("__sub__", &binary<Operation::subtract>, py::is_operator())
      .def("__rsub__", &reflected<Operation::subtract>, py::is_operator())
      .def("__mul__", &binary<Operation::multiply>, py::is_operator())
      .def("__rmul__", &reflected<Operation::multiply>, py::is_operator())
      .def("__truediv__", &binary<Operation::divide>, py::is_operator())
      .def("__rtruediv__", &reflected<Operation::divide>, py::is_operator())
      .def("__pow__", &binary<Operation::power>, py::is_operator())
      .def("__rpow__", &reflected<Operation::power>, py::is_operator())
      .def("__lt__", &binary<Operation::less>, py::is_operator())
      .def("__le__", &binary<Operation::less_equal>, py::is_operator())
      .def("__gt__", &binary<Operation::greater>, py::is_operator())
      .def("__ge__", &binary<Operation::greater_equal>, py::is_operator())
      .def("__eq__", &compared<Operation::equal>)
      .def("__ne__", &compared<Operation::not_equal>)
      .def("__and__", &both, py::is_operator())
      .def("__or__", &either, py::is_operator())
      .def("__invert__",
           [](const Ref<Expression>& self) {
             return Expression::make(Operation::equal, {truth(self), Expression::number(0)});
           })
      .def(
          "__neg__",
          [](const Ref<Expression>& self) { return Expression::make(Operation::negative, {self}); })
      .def("__pos__", [](const Ref<Expression>& self) { return self; })
      .def("__hash__",
           [](const Ref<Expression>& self) { return std::hash<const void*>{}(self.get()); })
      .def("__bool__",
           [](const Ref<Expression>& self) -> bool {
             throw TypeError(cat("[expression] '", self->text(),
                                 "' is neither true nor false before there is a step: combine with "
                                 "&, | and ~, or call it"));
           })
      .def("__call__", &call, py::arg("step"), py::arg("inherit") = py::none(),
           "The number at a step, where the parent has the number `inherit`.")
      .def_property_readonly(
          "uses_step", [](const Ref<Expression>& self) { return self->uses_step(); },
          "Whether the number depends on the step.")
      .def_property_readonly(
          "uses_inherit", [](const Ref<Expression>& self) { return self->uses_inherit(); },
          "Whether the number depends on the parent's.")
      .def(
          "to_data", [](const Ref<Expression>& self) { return to_data(*self); },
          "Plain data: numbers, and dicts of one op's name and its parts.")
      .def_static(
          "from_data", [](py::handle data) { return from_data(data); }, py::arg("data"),
          "The expression that `to_data` was called on, bit for bit.")
      .def(
          "_text",
          [](const Ref<Expression>& self, const std::string& inherited) {
            return self->text(inherited);
          },
          py::arg("inherited") = "inherit")
      .def("__repr__",
           [](const Ref<Expression>& self) {
             return self->op() == Operation::number ? "constant(" + self->text() + ")"
                                                    : self->text();
           })
      .def("__copy__", [](const Ref<Expression>& self) { return self; })
      .def("__deepcopy__", [](const Ref<Expression>& self, py::handle) { return self; })
      .def(py::pickle([](const Ref<Expression>& self) { return py::make_tuple(to_data(*self)); },
                      [](const py::tuple& saved) { return from_data(saved[0]); }));
  // NumPy's scalars leave the operators to us.
  c.attr("__array_ufunc__") = py::none();
  m.def("nearest", &nearest, py::arg("text"), py::arg("known"),
        "The one of `known` that is spelled most like `text`, or an empty string.");
}

}  // namespace chainrule::python
