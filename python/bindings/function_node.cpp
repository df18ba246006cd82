#include "function_node.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/autograd/backward.h"
#include "chainrule/core/error.h"
#include "gil.h"
#include "numpy_array.h"
#include "variable.h"

// Functions written in Python as nodes of the graph. Ownership runs one way: output variables
// hold the node, the node holds the Python object, which finds its way back by a handle that
// keeps nothing alive.
namespace py = pybind11;

namespace chainrule::python {
namespace {

class PythonNode;

std::int64_t live_functions = 0;  // read and written with the GIL held

struct NodeHandle {
  PythonNode* node;  // null once the node is gone; read and written with the GIL held
};

// Before Node among the bases, because Node keeps a pointer to the text.
struct Label {
  std::string text;
};

class PythonNode final : private Label, public Node {
 public:
  PythonNode(py::object function, std::string label)
      : Label{std::move(label)},
        Node(text.c_str()),
        function_(function.release().ptr()),
        handle_(std::make_shared<NodeHandle>(NodeHandle{this})) {
    ++live_functions;
  }

  ~PythonNode() override {
    // At the end of the process the interpreter may be gone before the last node.
    if (!Py_IsInitialized()) return;
    HoldGil gil;
    handle_->node = nullptr;
    let_go();
  }

  void backward(Backward& context) override;

  PyObject* function() const { return function_; }
  const std::shared_ptr<NodeHandle>& handle() const { return handle_; }

  struct Input {
    Shape shape;
    Dtype dtype;
  };
  std::vector<Input> input_types;
  std::vector<int> kept_inputs;
  std::vector<Saved> saved_inputs;
  std::vector<int> kept_outputs;
  std::vector<Array> saved_outputs;

 protected:
  void drop_saved() override {
    saved_inputs.clear();
    saved_outputs.clear();
    kept_inputs.clear();
    kept_outputs.clear();
    if (!Py_IsInitialized()) return;
    HoldGil gil;
    let_go();
  }

 private:
  void let_go() {
    if (!function_) return;
    --live_functions;
    Py_CLEAR(function_);
  }

  PyObject* function_;
  std::shared_ptr<NodeHandle> handle_;
};

void PythonNode::backward(Backward& context) {
  HoldGil gil;
  if (!function_) throw Error(cat("[", name(), "] the graph was freed"));
  const auto function = py::reinterpret_borrow<py::object>(function_);
  std::vector<int> targets;
  for (int i = 0; i < static_cast<int>(inputs().size()); ++i) {
    if (context.needs(i)) targets.push_back(i);
  }
  py::tuple grads(output_count());
  for (int i = 0; i < output_count(); ++i) {
    py::object grad = context.has_grad(i) ? py::cast(context.grad(i)) : py::none();
    grads[static_cast<std::size_t>(i)] = std::move(grad);
  }
  const auto result =
      py::tuple(function.attr("_run_backward")(py::tuple(py::cast(targets)), grads));
  if (result.size() != targets.size()) {
    throw ValueError(cat("[", name(), "] number of gradients: got ", result.size(), ", expected ",
                         targets.size()));
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    context.set(targets[i], py::object(result[i]).cast<Variable>());
  }
}

// The node while it is alive; throws for one whose graph is gone.
Ref<PythonNode> locked(const NodeHandle& handle) {
  if (!handle.node || handle.node->freed() || !handle.node->try_retain()) {
    throw Error("[FunctionNode] the graph of this function was freed");
  }
  return Ref<PythonNode>::adopt(handle.node);
}

void check_indexes(const char* label,
                   const char* what,
                   const std::vector<int>& indexes,
                   std::size_t count) {
  for (const int index : indexes) {
    if (index < 0 || static_cast<std::size_t>(index) >= count) {
      throw IndexError(
          cat("[", label, "] ", what, ": got index ", index, ", expected one below ", count));
    }
  }
}

py::tuple apply_node(py::object function,
                     const std::vector<Variable>& inputs,
                     const py::tuple& arrays,
                     const std::vector<int>& keep_inputs,
                     const std::vector<int>& keep_outputs) {
  const auto label = py::object(function.attr("label")).cast<std::string>();
  check_indexes(label.c_str(), "retain_inputs", keep_inputs, inputs.size());
  check_indexes(label.c_str(), "retain_outputs", keep_outputs, arrays.size());
  bool taken = false;
  for (const Variable& input : inputs) taken |= takes_part(input);
  taken &= backprop_enabled();

  py::tuple result(arrays.size());
  std::vector<Variable> outputs;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    outputs.emplace_back(from_numpy(arrays[i], label.c_str()), taken);
    result[i] = py::cast(outputs.back());
  }
  if (!taken || outputs.empty()) return result;

  const auto node = make_ref<PythonNode>(function, label);
  for (const py::handle output : result) {
    if (!PyObject_GC_IsTracked(output.ptr())) PyObject_GC_Track(output.ptr());
  }
  for (const Variable& input : inputs) {
    node->add_input(input);
    const bool known = input.defined() && input.array().defined();
    node->input_types.push_back(
        {known ? input.shape() : Shape(), known ? input.dtype() : Dtype::float32});
  }
  for (const Variable& output : outputs) node->add_output(output);
  node->kept_inputs = keep_inputs;
  for (const int i : keep_inputs) {
    node->saved_inputs.emplace_back(inputs[static_cast<std::size_t>(i)]);
  }
  node->kept_outputs = keep_outputs;
  for (const int i : keep_outputs) {
    node->saved_outputs.push_back(outputs[static_cast<std::size_t>(i)].array());
  }
  function.attr("_node") = node->handle();
  return result;
}

py::tuple retained_inputs(const NodeHandle& handle) {
  const auto node = locked(handle);
  py::tuple result(node->saved_inputs.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = py::cast(node->saved_inputs[i].unpack(node->name()));
  }
  return result;
}

py::tuple retained_outputs(const NodeHandle& handle) {
  const auto node = locked(handle);
  std::vector<Variable> none;
  const std::vector<char> nothing;
  Backward context(*node, none, none, nothing);
  py::tuple result(node->saved_outputs.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = py::cast(context.output(node->saved_outputs[i], node->kept_outputs[i]));
  }
  return result;
}

// The variable of an input; without data where nobody keeps those.
Variable input_variable(PythonNode& node, std::size_t i) {
  for (std::size_t k = 0; k < node.kept_inputs.size(); ++k) {
    if (static_cast<std::size_t>(node.kept_inputs[k]) == i) {
      BackpropMode off(false);
      return node.saved_inputs[k].unpack(node.name());
    }
  }
  if (i >= node.inputs().size()) return Variable(Array());
  const Edge& edge = node.inputs()[i];
  if (edge.leaf) return Variable(edge.leaf);
  if (!edge.node) return Variable(Array());
  if (auto variable = edge.node->output_variable(edge.output_index)) {
    return Variable(std::move(variable));
  }
  Variable revived(Array(), true);
  revived->set_creator(edge.node, edge.output_index);
  return revived;
}

// (shape, dtype, variable) of each input.
py::list describe_inputs(const NodeHandle& handle) {
  const auto node = locked(handle);
  py::list result;
  for (std::size_t i = 0; i < node->input_types.size(); ++i) {
    const auto& type = node->input_types[i];
    result.append(py::make_tuple(shape_to_python(type.shape), dtype_to_python(type.dtype),
                                 input_variable(*node, i)));
  }
  return result;
}

py::object output_variable(const NodeHandle& handle, int index) {
  if (!handle.node || handle.node->freed()) return py::none();
  const auto node = locked(handle);
  check_indexes(node->name(), "output", {index}, static_cast<std::size_t>(node->output_count()));
  auto variable = node->output_variable(index);
  return variable ? py::cast(Variable(std::move(variable))) : py::none();
}

py::tuple output_data(const NodeHandle& handle) {
  const auto node = locked(handle);
  py::tuple result(node->output_count());
  for (int i = 0; i < node->output_count(); ++i) {
    py::object array = py::none();
    if (auto variable = node->output_variable(i)) {
      array = array_of(*variable);
    } else {
      for (std::size_t k = 0; k < node->kept_outputs.size(); ++k) {
        if (node->kept_outputs[k] == i) array = to_numpy(node->saved_outputs[k]);
      }
    }
    result[static_cast<std::size_t>(i)] = std::move(array);
  }
  return result;
}

}  // namespace

std::int64_t live_python_functions() { return live_functions; }

PyObject* function_of(const Node& node) {
  const auto* python = dynamic_cast<const PythonNode*>(&node);
  return python ? python->function() : nullptr;
}

void for_each_saved(const Node& node, const std::function<void(const Variable&)>& visit) {
  const auto* python = dynamic_cast<const PythonNode*>(&node);
  if (!python) return;
  for (const Saved& saved : python->saved_inputs) visit(saved.variable());
}

py::object creator_to_python(const Ref<Node>& node) {
  if (!node) return py::none();
  if (const auto* python = dynamic_cast<const PythonNode*>(node.get());
      python && python->function()) {
    return py::reinterpret_borrow<py::object>(python->function()).attr("_creator");
  }
  return py::cast(node);
}

void bind_function_node(py::module_& m) {
  Class<NodeHandle, std::shared_ptr<NodeHandle>>(
      m, "NodeHandle", "The way from a function written in Python to its node in the graph.")
      .def_property_readonly(
          "alive", [](const NodeHandle& self) { return self.node && !self.node->freed(); },
          "Whether the graph is still there.")
      .def_property_readonly(
          "rank", [](const NodeHandle& self) { return locked(self)->rank(); },
          "Length of the longest chain of operations that led here.")
      .def_property_readonly(
          "output_count", [](const NodeHandle& self) { return locked(self)->output_count(); },
          "Number of outputs.")
      .def_property_readonly("output_data", &output_data,
                             "Arrays of outputs that are retained or still held, or None.")
      .def("inputs", &describe_inputs, "Shape, dtype and variable of each input.")
      .def("output_variable", &output_variable, py::arg("index"),
           "The variable of an output, or None where nobody holds it.")
      .def("retained_inputs", &retained_inputs, "Inputs kept for backward, as they were.")
      .def("retained_outputs", &retained_outputs, "Outputs kept for backward, in the graph.")
      .def(
          "unchain",
          [](const NodeHandle& self) {
            if (self.node && !self.node->freed()) locked(self)->free();
          },
          "Frees the graph behind this node.");

  m.def("apply_node", &apply_node, py::arg("function"), py::arg("inputs"), py::arg("outputs"),
        py::arg("retain_inputs"), py::arg("retain_outputs"),
        "Makes variables of the arrays that a function written in Python has computed, and\n"
        "connects them to its inputs where gradients are wanted.");
}

}  // namespace chainrule::python
