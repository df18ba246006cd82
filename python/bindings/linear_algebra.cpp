#include "chainrule/update/tensor_rules/linear_algebra.h"

#include <pybind11/pybind11.h>

#include "chainrule/backend/elementwise.h"
#include "numpy_array.h"
#include "update.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

// numpy.linalg.<function>(x), whose result `take` finds the wanted array in. What is not finite
// has no decomposition: all of the result is NaN then.
template <class Take>
void decompose(const char* function, const Array& x, const Array& out, const Take& take) {
  const py::gil_scoped_acquire acquire;
  const py::module_ numpy = py::module_::import("numpy");
  const py::object matrix = to_numpy(x);
  if (!numpy.attr("isfinite")(matrix).attr("all")().cast<bool>()) {
    return fill(out, std::numeric_limits<double>::quiet_NaN());
  }
  const py::object result = numpy.attr("linalg").attr(function)(matrix);
  copy_into(out, from_numpy(take(result), function));
}

void eigenvectors(const Array& symmetric, const Array& vectors) {
  decompose("eigh", symmetric, vectors,
            [](const py::object& result) -> py::object { return result.attr("eigenvectors"); });
}

void orthogonal_factor(const Array& matrix, const Array& factor) {
  decompose("qr", matrix, factor,
            [](const py::object& result) -> py::object { return result.attr("Q"); });
}

}  // namespace

void bind_linear_algebra() { set_linear_algebra({eigenvectors, orthogonal_factor}); }

}  // namespace chainrule::python
