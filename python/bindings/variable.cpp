#include "variable.h"

#include "chainrule/autograd/backward.h"
#include "chainrule/autograd/node.h"
#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/manipulation.h"
#include "chainrule/ops/reduction.h"
#include "cuda_interface.h"
#include "dims.h"
#include "dlpack.h"
#include "errors.h"
#include "function_node.h"
#include "garbage.h"
#include "gil.h"
#include "numpy_array.h"
#include "operators.h"
#include "variable_methods.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

PyTypeObject* variable_type = nullptr;

// An array as a user passes it: an ndarray or one on a CUDA device (or None for "no data yet"),
// nothing else, so that a list or a Variable given by mistake is noticed.
Array data_from_user(py::handle data, const char* what) {
  if (data.is_none()) return {};
  if (!py::isinstance<py::array>(data)) {
    if (!variable_or_null(data)) {
      if (auto array = from_cuda_interface(data, what)) return *std::move(array);
    }
    throw TypeError(
        cat("[", what, "] not an array: got ", type_name(data), ", expected numpy.ndarray"));
  }
  return from_numpy(data, what);
}

Variable grad_from_user(py::handle grad) {
  if (grad.is_none()) return {};
  if (auto* impl = variable_or_null(grad)) return Variable(Ref<VariableImpl>(impl));
  return Variable(data_from_user(grad, "Variable.grad"));
}

Ref<VariableImpl> make_variable(py::handle data,
                                const std::optional<std::string>& name,
                                py::handle grad,
                                bool requires_grad) {
  Array array = data_from_user(data, "Variable");
  // Integers have no gradient; asking for one is harmless and the default, so it is ignored.
  auto impl = make_ref<VariableImpl>(array, requires_grad);
  if (name) impl->set_name(*name);
  if (!grad.is_none()) impl->set_grad(grad_from_user(grad));
  return impl;
}

void set_array(VariableImpl& self, py::handle data) {
  self.set_data(data_from_user(data, "Variable.array"));
}

py::object grad_array(const VariableImpl& self) {
  if (!self.grad().defined()) return py::none();
  return array_of(*self.grad().impl());
}

void run_backward(Ref<VariableImpl> self,
                  bool retain_grad,
                  bool enable_double_backprop,
                  std::optional<double> loss_scale) {
  ReleaseGil gil;
  backward({Variable(std::move(self))},
           {retain_grad, enable_double_backprop, loss_scale.value_or(1.0)});
}

void zero_grad(VariableImpl& self) {
  if (!self.data().defined()) return;
  const Array& data = self.data();
  self.set_grad(Variable(filled(data.shape(), data.dtype(), data.device(), 0.0)));
}

void add_grad(VariableImpl& self, const VariableImpl& other) {
  if (!other.grad().defined()) return;
  if (!self.grad().defined()) {
    self.set_grad(Variable(copied(other.grad().array())));
  } else {
    BackpropMode off(false);
    self.set_grad(add(self.grad(), other.grad()));
  }
}

void copy_data(VariableImpl& self, const VariableImpl& other) {
  if (!other.data().defined()) {
    throw ValueError("[copydata] the source has no data yet");
  }
  if (!self.data().defined()) {
    self.set_data(copied(other.data()));
    return;
  }
  if (self.data().shape() != other.data().shape()) {
    throw ValueError(cat("[copydata] shapes differ: got ", other.data().shape(), ", expected ",
                         self.data().shape()));
  }
  if (!self.data().writeable()) throw ValueError("[copydata] the target is read-only");
  copy_into(self.data(), to_device(other.data(), self.data().device()));
}

std::vector<Variable> grad_function(const std::vector<Variable>& outputs,
                                    const std::vector<Variable>& inputs,
                                    const std::vector<Variable>& grad_outputs,
                                    const std::vector<Variable>& grad_inputs,
                                    bool enable_double_backprop,
                                    double loss_scale,
                                    bool retain_grad) {
  for (const auto* list : {&outputs, &inputs}) {
    for (const Variable& variable : *list) {
      if (!variable.defined()) throw TypeError("[grad] got None, expected a Variable");
    }
  }
  ReleaseGil gil;
  return grad(outputs, inputs, grad_outputs, grad_inputs,
              {retain_grad, enable_double_backprop, loss_scale});
}

void backward_function(const std::vector<Variable>& outputs,
                       bool retain_grad,
                       bool enable_double_backprop,
                       double loss_scale) {
  for (const Variable& variable : outputs) {
    if (!variable.defined()) throw TypeError("[backward] got None, expected a Variable");
  }
  ReleaseGil gil;
  backward(outputs, {retain_grad, enable_double_backprop, loss_scale});
}

void bind_graph(py::module_& m) {
  m.def("grad", &grad_function, py::arg("outputs"), py::arg("inputs"), py::arg("grad_outputs"),
        py::arg("grad_inputs"), py::arg("enable_double_backprop"), py::arg("loss_scale"),
        py::arg("retain_grad") = false);
  m.def("backward", &backward_function, py::arg("outputs"), py::arg("retain_grad"),
        py::arg("enable_double_backprop"), py::arg("loss_scale"));
  m.def("live_node_count", &live_node_count, "Graph nodes alive in this process.");
  m.def("live_variable_count", &live_variable_count, "Variables alive in this process.");
  m.def("backprop_enabled", &backprop_enabled, "Whether this thread records operations.");
  m.def("set_backprop_enabled", &set_backprop_enabled, py::arg("enabled"));
  m.def("set_backprop_enabled_globally", &set_backprop_enabled_globally, py::arg("enabled"));
  m.def("clear_backprop_enabled", &clear_backprop_enabled);
}

const Array& initialized(const VariableImpl& self, const char* what) {
  if (!self.data().defined()) {
    throw Error(cat("[", what, "] this variable has no data yet"));
  }
  return self.data();
}

}  // namespace

VariableImpl* variable_or_null(py::handle object) {
  if (!PyObject_TypeCheck(object.ptr(), variable_type)) return nullptr;
  auto* instance = reinterpret_cast<py::detail::instance*>(object.ptr());
  auto* impl = static_cast<VariableImpl*>(instance->simple_layout ? instance->simple_value_holder[0]
                                                                  : object.cast<VariableImpl*>());
  if (!impl) throw_uninitialized(reinterpret_cast<PyObject*>(variable_type));
  return impl;
}

Variable to_variable(py::handle object, const char* op) {
  if (auto* impl = variable_or_null(object)) return Variable(Ref<VariableImpl>(impl));
  return Variable(from_numpy(object, op));
}

Variable to_operand(py::handle object, const Variable& other, const char* op) {
  PyObject* p = object.ptr();
  if (PyFloat_Check(p)) {
    return scalar_like(other, PyFloat_AS_DOUBLE(p), ScalarKind::floating);
  }
  if (PyBool_Check(p)) return scalar_like(other, p == Py_True, ScalarKind::boolean);
  if (PyLong_Check(p)) {
    const double value = PyLong_AsDouble(p);
    if (value == -1.0 && PyErr_Occurred()) throw py::error_already_set();
    return scalar_like(other, value, ScalarKind::integer);
  }
  if (!variable_or_null(object) && !py::isinstance<py::array>(object)) {
    const Array array = from_numpy(object, op);
    if (array.ndim() == 0) {
      const ScalarKind kind = is_floating(array.dtype())      ? ScalarKind::floating
                              : array.dtype() == Dtype::bool_ ? ScalarKind::boolean
                                                              : ScalarKind::integer;
      return Variable(as_dtype(array, promote_scalar(other.dtype(), kind)));
    }
    return Variable(array);
  }
  return to_variable(object, op);
}

py::object array_of(VariableImpl& variable) {
  HostObject& cached = variable.host_array();
  if (!cached) {
    const Array& data = variable.data();
    py::object shown = data.defined() && data.device() != Device{}
                           ? py::module_::import("chainrule._device_array")
                                 .attr("shown")(py::cast(Ref<VariableImpl>(&variable)))
                           : to_numpy(data);
    if (shown.is_none()) return shown;
    cached = HostObject(shown.release().ptr());
  }
  return py::reinterpret_borrow<py::object>(static_cast<PyObject*>(cached.get()));
}

void bind_variable(py::module_& m) {
  VariableClass variable(
      m, "Variable", py::custom_type_setup([](PyHeapTypeObject* type) {
        install_operators(type);
        install_garbage_collection(type);
      }),
      "An array that remembers how it was computed.\n\n"
      "Operations on variables are recorded as they run, and ``backward`` runs them back:\n"
      "``x.grad`` is then d(self)/dx for every variable ``x`` that took part. The data stay\n"
      "the caller's: ``Variable(x).array is x``.\n\n"
      "Args:\n"
      "    data: NumPy array of dtype bool, (u)int8 to int64, float16, bfloat16 (with\n"
      "        ml_dtypes), float32 or float64, of at most 8 dimensions; or None for a\n"
      "        variable that gets its data later.\n"
      "    name: Shown when the variable is printed and in errors.\n"
      "    grad: Initial gradient, of the shape and dtype of ``data``.\n"
      "    requires_grad: Whether ``backward`` computes its gradient.\n\n"
      "Raises:\n"
      "    TypeError: If ``data`` is no array or of another dtype.\n"
      "    ValueError: If ``grad`` has another shape.\n\n"
      "Example:\n"
      "    >>> import numpy\n"
      "    >>> from chainrule import Variable\n"
      "    >>> x = Variable(numpy.array([1.0, 2.0], dtype=numpy.float32))\n"
      "    >>> y = x * x\n"
      "    >>> y.grad = numpy.ones_like(y.array)\n"
      "    >>> y.backward()\n"
      "    >>> x.grad\n"
      "    array([2., 4.], dtype=float32)\n");
  variable_type = reinterpret_cast<PyTypeObject*>(variable.ptr());
  variable.attr("__array_ufunc__") = py::none();  // NumPy leaves `ndarray + Variable` to us
  variable.attr("__array_priority__") = 200;

  variable
      .def(py::init(&make_variable), py::arg("data") = py::none(), py::kw_only(),
           py::arg("name") = py::none(), py::arg("grad") = py::none(),
           py::arg("requires_grad") = true)
      .def_property("array", &array_of, &set_array,
                    "The data, as a NumPy array; as a CuPy array on a CUDA device.")
      .def_property("data", &array_of, &set_array, "The same as ``array``.")
      .def_property(
          "grad", &grad_array,
          [](VariableImpl& self, py::handle grad) { self.set_grad(grad_from_user(grad)); },
          "The gradient as a NumPy array of the data's shape and dtype, or None.")
      .def_property(
          "grad_var", [](const VariableImpl& self) { return self.grad(); },
          [](VariableImpl& self, const Variable& grad) { self.set_grad(grad); },
          "The gradient as a Variable, or None.")
      .def_property_readonly("_has_grad",
                             [](const VariableImpl& self) { return self.grad().defined(); })
      .def_property("requires_grad", &VariableImpl::requires_grad, &VariableImpl::set_requires_grad,
                    "Whether backward computes its gradient.")
      .def_property("frozen", &VariableImpl::frozen, &VariableImpl::set_frozen,
                    "Whether it is left out of graphs recorded from now on.")
      .def_property(
          "name",
          [](const VariableImpl& self) -> py::object {
            if (self.name().empty()) return py::none();
            return py::str(self.name());
          },
          [](VariableImpl& self, std::optional<std::string> name) {
            self.set_name(std::move(name).value_or(""));
          },
          "The name, or None.")
      .def_property_readonly(
          "creator", [](const VariableImpl& self) { return creator_to_python(self.creator()); },
          "The operation that made it, or None.")
      .def_property_readonly("rank", &VariableImpl::rank,
                             "Length of the longest chain of operations that led here.")
      .def_property_readonly(
          "shape", [](const VariableImpl& self) { return initialized(self, "shape").shape(); },
          "Shape of the data.")
      .def_property_readonly(
          "ndim", [](const VariableImpl& self) { return initialized(self, "ndim").ndim(); },
          "Number of dimensions.")
      .def_property_readonly(
          "size", [](const VariableImpl& self) { return initialized(self, "size").size(); },
          "Number of elements.")
      .def_property_readonly(
          "dtype",
          [](const VariableImpl& self) {
            return dtype_to_python(initialized(self, "dtype").dtype());
          },
          "NumPy dtype of the data.")
      .def_property_readonly(
          "T",
          [](Ref<VariableImpl> self) {
            initialized(*self, "T");
            return transpose(Variable(std::move(self)));
          },
          "The variable with its axes reversed.")
      .def("__len__",
           [](const VariableImpl& self) {
             const Array& data = initialized(self, "len");
             if (data.ndim() == 0) throw TypeError("[len] got a variable of no dimensions");
             return data.shape()[0];
           })
      .def(
          "item", [](VariableImpl& self) { return array_of(self).attr("item")(); },
          "The only element, as a Python number.")
      .def("backward", &run_backward, py::arg("retain_grad") = false,
           py::arg("enable_double_backprop") = false, py::arg("loss_scale") = py::none(),
           "Computes d(self)/dx for every variable that led here.\n\n"
           "Gradients are added to those that are there already. A variable of more than one\n"
           "element needs its own ``grad`` set first.\n\n"
           "Args:\n"
           "    retain_grad: Keep the gradients of intermediate variables too.\n"
           "    enable_double_backprop: Record the computation of the gradients, so that they\n"
           "        can be differentiated.\n"
           "    loss_scale: The gradient to start from instead of one.\n\n"
           "Raises:\n"
           "    RuntimeError: If nothing was recorded, or the graph was freed.\n"
           "    ValueError: If there are several elements and no gradient to start from.")
      .def("cleargrad", &VariableImpl::clear_grad, "Forgets the gradient.")
      .def("zerograd", &zero_grad, "Sets the gradient to zeros.")
      .def("addgrad", &add_grad, py::arg("var"), "Adds the gradient of another variable.")
      .def("copydata", &copy_data, py::arg("var"), "Copies the data of another variable.")
      .def("unchain", &VariableImpl::unchain, "Cuts the variable off from what it came from.")
      .def(
          "unchain_backward",
          [](Ref<VariableImpl> self) { unchain_backward(Variable(std::move(self))); },
          "Cuts and frees the whole graph that led here.")
      .def(
          "__array__",
          [](VariableImpl& self, py::object dtype, py::object copy) {
            if (self.data().defined() && self.data().device() != Device{}) {
              throw TypeError(cat(
                  "[__array__] NumPy sees the CPU's memory only, and the array is "
                  "on ",
                  self.data().device(), ": copy it with Variable.from_dlpack(x, device='cpu')"));
            }
            const py::object own = array_of(self);
            if (own.is_none()) throw ValueError("[__array__] the variable has no array yet");
            py::object array = own;
            if (!dtype.is_none()) array = array.attr("astype")(dtype, py::arg("copy") = false);
            const bool wanted = !copy.is_none() && copy.cast<bool>();
            if (!copy.is_none() && !wanted && !array.is(own)) {
              throw ValueError("[__array__] another dtype needs a copy: got copy=False");
            }
            if (wanted && array.is(own)) array = array.attr("copy")();
            return array;
          },
          py::arg("dtype") = py::none(), py::arg("copy") = py::none(),
          "The data as NumPy asks for them: ``numpy.asarray(x)`` is ``x.array``.\n\n"
          "There is no ``__array_interface__``, which would leave NumPy with an address only: a\n"
          "variable can be given another array while NumPy looks at the old one.\n\n"
          "Args:\n"
          "    dtype: Another dtype, which costs a copy.\n"
          "    copy: Whether to copy; False refuses to.\n\n"
          "Raises:\n"
          "    TypeError: If the data lie on a CUDA device.\n"
          "    ValueError: If there are none, or a copy is needed and refused.\n\n"
          "Example:\n"
          "    >>> import numpy, chainrule\n"
          "    >>> v = chainrule.Variable(numpy.ones(2))\n"
          "    >>> numpy.asarray(v) is v.array\n"
          "    True\n")
      .def_property_readonly(
          "_identity",
          [](const VariableImpl& self) { return reinterpret_cast<std::uintptr_t>(&self); },
          "Address of the native object; equal for two Python objects of one variable.");

  bind_variable_methods(variable);
  bind_dlpack(variable);
  bind_cuda_interface(variable);
  bind_graph(m);
}

}  // namespace chainrule::python
