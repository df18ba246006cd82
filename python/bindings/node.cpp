#include "node.h"

namespace py = pybind11;

namespace chainrule::python {

void bind_node(py::module_& m) {
  Class<Node, Ref<Node>>(m, "Node", "One recorded operation; what ``Variable.creator`` is.")
      .def_property_readonly(
          "label", [](const Node& self) { return std::string(self.name()); },
          "Name of the operation.")
      .def_property_readonly("rank", &Node::rank,
                             "Length of the longest chain of operations that led here.")
      .def("__repr__",
           [](const Node& self) { return "<chainrule node '" + std::string(self.name()) + "'>"; });
}

}  // namespace chainrule::python
