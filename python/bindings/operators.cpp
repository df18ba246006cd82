#include "operators.h"

#include "chainrule/ops/elementwise.h"
#include "chainrule/ops/linear.h"
#include "errors.h"
#include "ops.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

bool is_numpy_scalar(py::handle object) {
  static const auto* generic = new py::object(py::module_::import("numpy").attr("generic"));
  return py::isinstance(object, *generic);
}

bool is_operand(py::handle object) {
  PyObject* p = object.ptr();
  return variable_or_null(object) || PyFloat_Check(p) || PyLong_Check(p) ||
         py::isinstance<py::array>(object) || is_numpy_scalar(object);
}

Variable matrix_product(const Variable& a, const Variable& b) { return matmul(a, b); }

template <auto function>
Variable apply(PyObject* a, PyObject* b, const char* name) {
  auto* left = variable_or_null(a);
  auto* right = variable_or_null(b);
  // A number takes its dtype from the other operand, which must have one.
  const Variable x = left ? require(name, Variable(Ref<VariableImpl>(left)))
                          : to_operand(a, require(name, Variable(Ref<VariableImpl>(right))), name);
  const Variable y = right ? Variable(Ref<VariableImpl>(right)) : to_operand(b, x, name);
  return Op<function>::call(x, y);
}

PyObject* to_python(Variable y) { return py::cast(std::move(y)).release().ptr(); }

#define CHAINRULE_BINARY(slot, function)                              \
  PyObject* slot(PyObject* a, PyObject* b) {                          \
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {           \
      if (!is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED; \
      return to_python(apply<function>(a, b, #function));             \
    });                                                               \
  }

CHAINRULE_BINARY(nb_add, add)
CHAINRULE_BINARY(nb_subtract, subtract)
CHAINRULE_BINARY(nb_multiply, multiply)
CHAINRULE_BINARY(nb_true_divide, divide)
CHAINRULE_BINARY(nb_floor_divide, floor_divide)
CHAINRULE_BINARY(nb_matrix_multiply, matrix_product)

#undef CHAINRULE_BINARY

PyObject* nb_power(PyObject* a, PyObject* b, PyObject* modulo) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    if (modulo != Py_None || !is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED;
    return to_python(apply<power>(a, b, "power"));
  });
}

Variable self_of(PyObject* self) { return Variable(Ref<VariableImpl>(variable_or_null(self))); }

PyObject* nb_negative(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] { return to_python(Op<negative>::call(self_of(self))); });
}

PyObject* nb_absolute(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] { return to_python(Op<absolute>::call(self_of(self))); });
}

PyObject* nb_positive(PyObject* self) { return Py_NewRef(self); }

int nb_bool(PyObject* self) {
  return guarded(-1, [&] { return PyObject_IsTrue(array_of(*variable_or_null(self)).ptr()); });
}

PyObject* nb_float(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] {
    return PyNumber_Float(array_of(*variable_or_null(self)).attr("item")().ptr());
  });
}

PyObject* nb_int(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] {
    return PyNumber_Long(array_of(*variable_or_null(self)).attr("item")().ptr());
  });
}

PyObject* compare(PyObject* a, PyObject* b, int operation) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    if (!is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED;
    switch (operation) {
      case Py_EQ:
        return to_python(apply<equal>(a, b, "equal"));
      case Py_NE:
        return to_python(apply<not_equal>(a, b, "not_equal"));
      case Py_LT:
        return to_python(apply<less>(a, b, "less"));
      case Py_LE:
        return to_python(apply<less_equal>(a, b, "less_equal"));
      case Py_GT:
        return to_python(apply<greater>(a, b, "greater"));
      default:
        return to_python(apply<greater_equal>(a, b, "greater_equal"));
    }
  });
}

// By identity: two variables of equal data are two variables.
Py_hash_t hash(PyObject* self) {
  return guarded<Py_hash_t>(-1, [&] {
    return static_cast<Py_hash_t>(reinterpret_cast<std::uintptr_t>(variable_or_null(self)) >> 4);
  });
}

}  // namespace

void install_operators(PyHeapTypeObject* type) {
  PyNumberMethods& number = type->as_number;
  number.nb_add = nb_add;
  number.nb_subtract = nb_subtract;
  number.nb_multiply = nb_multiply;
  number.nb_true_divide = nb_true_divide;
  number.nb_floor_divide = nb_floor_divide;
  number.nb_matrix_multiply = nb_matrix_multiply;
  number.nb_power = nb_power;
  number.nb_negative = nb_negative;
  number.nb_positive = nb_positive;
  number.nb_absolute = nb_absolute;
  number.nb_bool = nb_bool;
  number.nb_float = nb_float;
  number.nb_int = nb_int;
  type->ht_type.tp_richcompare = compare;
  type->ht_type.tp_hash = hash;
}

}  // namespace chainrule::python
