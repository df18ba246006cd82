#include "overlap.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "dims.h"

namespace py = pybind11;

namespace chainrule::python {

bool overlaps(const Dims& shape, const Dims& strides, std::int64_t item) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;
  for (int i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return false;
    if (shape[i] > 1) axes.emplace_back(std::abs(strides[i]), shape[i]);
  }
  std::sort(axes.begin(), axes.end());
  std::int64_t reach = item;
  for (const auto& [stride, extent] : axes) {
    if (stride < reach) return true;
    reach += stride * (extent - 1);
  }
  return false;
}

void bind_overlap(py::module_& m) {
  m.def("overlaps", &overlaps, py::arg("shape"), py::arg("strides"), py::arg("item"),
        "Whether elements of an array may share memory. ``item`` is the size of one, in what\n"
        "strides count in.");
}

}  // namespace chainrule::python
