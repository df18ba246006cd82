#include "indexing.h"

#include <pybind11/numpy.h>

#include <string>

#include "chainrule/core/error.h"
#include "errors.h"
#include "numpy_array.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

[[noreturn]] void throw_kind(py::handle item) {
  throw IndexError(cat("[get_item] not an index: got ", type_name(item),
                       ", expected an integer, a slice, None, Ellipsis, or an array of integers "
                       "or bools"));
}

std::int64_t integer_of(py::handle item) {
  const Py_ssize_t at = PyNumber_AsSsize_t(item.ptr(), PyExc_IndexError);
  if (at == -1 && PyErr_Occurred()) throw py::error_already_set();
  return at;
}

// A bound of a slice, clipped to what fits.
std::optional<std::int64_t> bound_of(PyObject* bound) {
  if (bound == Py_None) return std::nullopt;
  if (!PyIndex_Check(bound)) {
    throw TypeError(cat("[get_item] not a bound of a slice: got ", type_name(bound),
                        ", expected an integer or None"));
  }
  const Py_ssize_t at = PyNumber_AsSsize_t(bound, nullptr);
  if (at == -1 && PyErr_Occurred()) throw py::error_already_set();
  return at;
}

IndexItem mask_of(bool value) {
  const Array mask({}, Dtype::bool_);
  *mask.data<bool>() = value;
  return IndexItem::places(mask);
}

IndexItem parse_array(const py::array& array) {
  const char kind = array.dtype().kind();
  if (kind == 'b') return IndexItem::places(from_numpy(array, "get_item"));
  if (kind != 'i' && kind != 'u') {
    throw IndexError(cat("[get_item] arrays in an index are integers or masks: got ",
                         py::str(array.dtype()).cast<std::string>()));
  }
  if (array.ndim() == 0) return IndexItem::integer(integer_of(array));
  // Every integer dtype, those that variables do not have too.
  return IndexItem::places(
      from_numpy(array.attr("astype")("int64", py::arg("copy") = false), "get_item"));
}

IndexItem parse_item(py::handle item) {
  PyObject* p = item.ptr();
  if (p == Py_None) return IndexItem::new_axis();
  if (p == Py_Ellipsis) return IndexItem::ellipsis();
  if (PyBool_Check(p)) return mask_of(p == Py_True);
  if (PyLong_Check(p)) return IndexItem::integer(integer_of(item));
  if (PySlice_Check(p)) {
    const auto* slice = reinterpret_cast<PySliceObject*>(p);
    return IndexItem::slice(bound_of(slice->start), bound_of(slice->stop),
                            bound_of(slice->step).value_or(1));
  }
  if (auto* variable = variable_or_null(item)) {
    return parse_array(array_of(*variable).cast<py::array>());
  }
  if (py::isinstance<py::array>(item)) return parse_array(py::reinterpret_borrow<py::array>(item));
  if (py::isinstance<py::list>(item) || py::isinstance<py::tuple>(item)) {
    if (py::len(item) == 0) return IndexItem::places(Array({0}, Dtype::int64));
    const auto array = py::array::ensure(item);
    if (!array) throw py::error_already_set();
    return parse_array(array);
  }
  if (PyIndex_Check(p)) return IndexItem::integer(integer_of(item));
  // NumPy's bool has no __index__.
  if (const auto array = py::array::ensure(item); array && array.dtype().kind() == 'b') {
    return parse_array(array);
  }
  PyErr_Clear();
  throw_kind(item);
}

}  // namespace

Index parse_index(py::handle object) {
  Index index;
  if (!py::isinstance<py::tuple>(object)) {
    index.push_back(parse_item(object));
    return index;
  }
  for (const py::handle item : py::reinterpret_borrow<py::tuple>(object)) {
    index.push_back(parse_item(item));
  }
  return index;
}

}  // namespace chainrule::python
