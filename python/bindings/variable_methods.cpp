#include "variable_methods.h"

#include <cstddef>
#include <optional>

#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/indexing.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"
#include "indexing.h"
#include "numpy_array.h"
#include "ops.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// f(2, 3) and f((2, 3)) alike, as in NumPy.
Dims dims_from_args(const py::args& args) {
  if (args.size() == 1) return py::object(args[0]).cast<Dims>();
  return args.cast<Dims>();
}

std::optional<std::size_t> first_elsewhere(const py::list& variables, const py::list& arrays) {
  if (variables.size() != arrays.size()) throw ValueError("[array] one array for each variable");
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const VariableImpl* variable = variable_or_null(variables[i]);
    if (!variable || !py::isinstance<py::array>(arrays[i])) return i;
    if (!variable->data().defined() || !is_on(variable->data(), arrays[i])) return i;
  }
  return std::nullopt;
}

}  // namespace

void bind_variable_methods(VariableClass& variable) {
  variable
      .def(
          "reshape",
          [](const Variable& self, const py::args& shape) {
            return reshape(self, dims_from_args(shape));
          },
          "The same elements in another shape; one dimension may be -1.")
      .def(
          "transpose",
          [](const Variable& self, const py::args& axes) {
            return transpose(require("transpose", self),
                             axes.empty() ? Axes() : dims_from_args(axes));
          },
          "The axes in another order; reversed where none are named.")
      .def("sum", &Op<sum>::call, py::arg("axis") = py::none(), py::arg("keepdims") = false,
           "Sum over axes, all by default.")
      .def("mean", &Op<mean>::call, py::arg("axis") = py::none(), py::arg("keepdims") = false,
           "Mean over axes, all by default.")
      .def("max", &Op<max>::call, py::arg("axis") = py::none(), py::arg("keepdims") = false,
           "Greatest element over axes, all by default.")
      .def("min", &Op<min>::call, py::arg("axis") = py::none(), py::arg("keepdims") = false,
           "Least element over axes, all by default.")
      .def(
          "astype",
          [](const Variable& self, py::handle dtype) {
            return Op<cast>::call(self, dtype_from_python(dtype));
          },
          py::arg("dtype"), "The elements in another dtype.")
      .def(
          "__getitem__",
          [](const Variable& self, py::handle slices) {
            return get_item(self, parse_index(slices));
          },
          py::arg("slices"), "Elements named by integers, slices, None, Ellipsis, arrays, masks.")
      .def_static(
          "_first_elsewhere", &first_elsewhere, py::arg("variables"), py::arg("arrays"),
          "The number of the first variable that does not look as its ndarray, on the same\n"
          "memory, or whose ndarray is read-only; None if there is none.");
}

}  // namespace chainrule::python
