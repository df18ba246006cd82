#include "ops_array.h"

#include "chainrule/ops/dropout.h"
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

using Variables = std::vector<Variable>;

// An empty tuple names no axis, None all of them; in C++ both are an empty list.
bool names_no_axis(py::handle axis) {
  return py::isinstance<py::tuple>(axis) && py::len(axis) == 0;
}

template <auto function>
void def_reduction(py::module_& m, const char* name) {
  m.def(
      name,
      [name](const Variable& x, py::handle axis, bool keepdims) {
        if (names_no_axis(axis)) {  // every element by itself
          return function(expand_dims(require(name, x), -1), {-1}, false);
        }
        return Op<function>::call(x, axis.cast<Axes>(), keepdims);
      },
      py::arg("x"), py::arg("axis") = py::none(), py::arg("keepdims") = false);
}

// Where to cut: a number of parts, or the places.
py::object split(const Variable& x,
                 py::handle indices_or_sections,
                 std::int64_t axis,
                 bool force_tuple) {
  require("split_axis", x);
  Variables parts;
  const bool is_list = py::hasattr(indices_or_sections, "__len__") &&
                       !(py::isinstance<py::array>(indices_or_sections) &&
                         py::reinterpret_borrow<py::array>(indices_or_sections).ndim() == 0);
  if (is_list) {
    std::vector<std::int64_t> indices;
    for (const py::handle index : indices_or_sections) {
      indices.push_back(py::int_(py::reinterpret_borrow<py::object>(index)).cast<std::int64_t>());
    }
    parts = split_axis(x, indices, axis);
  } else {
    const Py_ssize_t sections = PyNumber_AsSsize_t(indices_or_sections.ptr(), PyExc_OverflowError);
    if (sections == -1 && PyErr_Occurred()) throw py::error_already_set();
    parts = split_axis(x, static_cast<std::int64_t>(sections), axis);
  }
  if (!force_tuple && parts.size() == 1) return py::cast(parts[0]);
  return py::tuple(py::cast(parts));
}

void bind_reductions(py::module_& m) {
  def_reduction<sum>(m, "sum");
  def_reduction<mean>(m, "mean");
  def_reduction<max>(m, "max");
  def_reduction<min>(m, "min");
  def_reduction<logsumexp>(m, "logsumexp");
  m.def("average", &Op<average>::call, py::arg("x"), py::arg("weights"),
        py::arg("axis") = py::none(), py::arg("keepdims") = false);
  m.def("argmax", &Op<argmax>::call, py::arg("x"), py::arg("axis") = py::none());
  m.def("argmin", &Op<argmin>::call, py::arg("x"), py::arg("axis") = py::none());
}

void bind_shapes(py::module_& m) {
  m.def("reshape", &Op<reshape>::call, py::arg("x"), py::arg("shape"));
  m.def("flatten", &Op<flatten>::call, py::arg("x"));
  m.def("expand_dims", &Op<expand_dims>::call, py::arg("x"), py::arg("axis"));
  m.def(
      "squeeze",
      [](const Variable& x, py::handle axis) {
        require("squeeze", x);
        return names_no_axis(axis) ? x : squeeze(x, axis.cast<Axes>());
      },
      py::arg("x"), py::arg("axis") = py::none());
  m.def("transpose", &Op<transpose>::call, py::arg("x"), py::arg("axes") = py::none());
  m.def("swapaxes", &Op<swapaxes>::call, py::arg("x"), py::arg("axis1"), py::arg("axis2"));
  m.def("moveaxis", &Op<moveaxis>::call, py::arg("x"), py::arg("source"), py::arg("destination"));
  m.def("rollaxis", &Op<rollaxis>::call, py::arg("x"), py::arg("axis"), py::arg("start") = 0);
  m.def("concat", &Op<concat>::call, py::arg("xs"), py::arg("axis"));
  m.def("stack", &Op<stack>::call, py::arg("xs"), py::arg("axis"));
  m.def("split_axis", &split, py::arg("x"), py::arg("indices_or_sections"), py::arg("axis"),
        py::arg("force_tuple") = true);
  m.def(
      "separate",
      [](const Variable& x, std::int64_t axis) {
        return py::tuple(py::cast(separate(require("separate", x), axis)));
      },
      py::arg("x"), py::arg("axis"));
  m.def(
      "broadcast", [](const Variables& xs) { return py::tuple(py::cast(broadcast(xs))); },
      py::arg("xs"));
  m.def(
      "repeat",
      [](const Variable& x, py::handle repeats, std::optional<std::int64_t> axis) {
        require("repeat", x);
        const Variable along = axis ? x : flatten(x);
        if (PyIndex_Check(repeats.ptr()) && !py::isinstance<py::array>(repeats)) {
          return repeat(along, repeats.cast<std::int64_t>(), axis.value_or(0));
        }
        return repeat(along, repeats.cast<std::vector<std::int64_t>>(), axis.value_or(0));
      },
      py::arg("x"), py::arg("repeats"), py::arg("axis") = py::none());
}

void bind_indexing(py::module_& m) {
  m.def(
      "get_item",
      [](const Variable& x, py::handle slices) {
        return get_item(require("get_item", x), parse_index(slices));
      },
      py::arg("x"), py::arg("slices"));
  m.def(
      "put_item",
      [](const Variable& g, const Shape& shape, py::handle slices) {
        return put_item(require("put_item", g), shape, parse_index(slices));
      },
      py::arg("g"), py::arg("shape"), py::arg("slices"));
  m.def("flip", &Op<flip>::call, py::arg("x"), py::arg("axis") = py::none());
  m.def(
      "select_item",
      [](const Variable& x, const Variable& t) {
        return select_item(require("select_item", x), require("select_item", t).array());
      },
      py::arg("x"), py::arg("t"));
}

void bind_dropout(py::module_& m) {
  m.def("as_variable", [](const Variable& x) { return require("as_variable", x); }, py::arg("x"));
  m.def("dropout", &Op<dropout>::call, py::arg("x"), py::arg("ratio"), py::arg("key"));
  m.def(
      "dropout_mask",
      [](const Variable& x, double ratio, std::uint64_t key) {
        return to_numpy(dropout_mask(require("dropout", x), ratio, key));
      },
      py::arg("x"), py::arg("ratio"), py::arg("key"));
  m.def(
      "dropout_mask",
      [](const Variable& x, double ratio, const py::array& numbers) {
        return to_numpy(dropout_mask(require("dropout", x), ratio, from_numpy(numbers, "dropout")));
      },
      py::arg("x"), py::arg("ratio"), py::arg("numbers"));
}

}  // namespace

void bind_array_ops(py::module_& m) {
  bind_reductions(m);
  bind_shapes(m);
  bind_indexing(m);
  bind_dropout(m);
}

}  // namespace chainrule::python
