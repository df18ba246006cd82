#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/core/shape.h"

namespace pybind11::detail {

// Shapes and axes from Python: None (nothing named), an integer, or a sequence of integers.
template <>
struct type_caster<chainrule::Dims> {
  PYBIND11_TYPE_CASTER(chainrule::Dims,
                       io_name("int | collections.abc.Sequence[int] | None", "tuple[int, ...]"));

  bool load(handle source, bool) {
    if (source.is_none()) return true;
    if (PyIndex_Check(source.ptr())) return push(source);
    if (!PySequence_Check(source.ptr()) || PyUnicode_Check(source.ptr())) return false;
    const auto items = reinterpret_borrow<sequence>(source);
    for (const auto item : items) {
      if (!PyIndex_Check(item.ptr()) || !push(item)) return false;
    }
    return true;
  }

  static handle cast(const chainrule::Dims& dims, return_value_policy, handle) {
    tuple out(dims.size());
    for (int i = 0; i < dims.size(); ++i) {
      PyTuple_SET_ITEM(out.ptr(), i, PyLong_FromLongLong(dims[i]));
    }
    return out.release();
  }

 private:
  bool push(handle item) {
    const Py_ssize_t n = PyNumber_AsSsize_t(item.ptr(), PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) throw error_already_set();
    value.push_back(n);
    return true;
  }
};

}  // namespace pybind11::detail
