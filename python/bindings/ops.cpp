#include "ops.h"

#include "chainrule/backend/elementwise.h"
#include "chainrule/ops/elementwise.h"
#include "numpy_array.h"

// One line per op. What a user sees, with documentation, is in python/chainrule/functions.
namespace py = pybind11;

namespace chainrule::python {
namespace {

template <auto function>
void def_binary(py::module_& m, const char* name) {
  m.def(
      name,
      [name](py::handle a, py::handle b) {
        const auto* left = variable_or_null(a);
        auto* right = variable_or_null(b);
        const Variable x = !left && right ? to_operand(a, require(name, to_variable(b, name)), name)
                                          : require(name, to_variable(a, name));
        const Variable y = right ? to_variable(b, name) : to_operand(b, x, name);
        return Op<function>::call(x, y);
      },
      py::arg("a"), py::arg("b"));
}

}  // namespace

void throw_without_data(std::string_view op, const Variable& x) {
  throw TypeError(cat("[", op, "] got ", x.defined() ? "a variable without data" : "None",
                      ", expected a variable with data, an array or a number"));
}

void bind_ops(py::module_& m) {
  m.def("negative", &Op<negative>::call, py::arg("x"));
  m.def("square", &Op<square>::call, py::arg("x"));
  m.def("absolute", &Op<absolute>::call, py::arg("x"));
  m.def("clip", &Op<clip>::call, py::arg("x"), py::arg("x_min"), py::arg("x_max"));
  m.def("exp", &Op<exp>::call, py::arg("x"));
  m.def("log", &Op<log>::call, py::arg("x"));
  m.def("sqrt", &Op<sqrt>::call, py::arg("x"));
  m.def("relu", &Op<relu>::call, py::arg("x"));
  m.def("leaky_relu", &Op<leaky_relu>::call, py::arg("x"), py::arg("slope"));
  m.def("elu", &Op<elu>::call, py::arg("x"), py::arg("alpha"));
  m.def("sigmoid", &Op<sigmoid>::call, py::arg("x"));
  m.def("tanh", &Op<tanh>::call, py::arg("x"));
  m.def("softplus", &Op<softplus>::call, py::arg("x"), py::arg("beta"));

  def_binary<add>(m, "add");
  def_binary<subtract>(m, "subtract");
  def_binary<multiply>(m, "multiply");
  def_binary<divide>(m, "divide");
  def_binary<floor_divide>(m, "floor_divide");
  def_binary<power>(m, "power");
  def_binary<maximum>(m, "maximum");
  def_binary<minimum>(m, "minimum");
  def_binary<equal>(m, "equal");
  def_binary<not_equal>(m, "not_equal");
  def_binary<less>(m, "less");
  def_binary<less_equal>(m, "less_equal");
  def_binary<greater>(m, "greater");
  def_binary<greater_equal>(m, "greater_equal");

  m.def("where", &Op<where>::call, py::arg("condition"), py::arg("x"), py::arg("y"));
  m.def(
      "cast",
      [](const Variable& x, py::handle dtype) {
        return Op<cast>::call(x, dtype_from_python(dtype));
      },
      py::arg("x"), py::arg("dtype"));
  m.def("broadcast_to", &Op<broadcast_to>::call, py::arg("x"), py::arg("shape"));
  m.def("sum_to", &Op<sum_to>::call, py::arg("x"), py::arg("shape"));
}

}  // namespace chainrule::python
