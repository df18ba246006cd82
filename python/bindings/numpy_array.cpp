#include "numpy_array.h"

#include <optional>

#include "cuda_interface.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

using Flags = py::detail::npy_api;

// Lets go of Python objects held by C++, from whatever thread.
void release_python_object(void* object) {
  // At the end of the process the interpreter may be gone before the last array.
  if (!Py_IsInitialized()) return;
  HoldGil gil;
  Py_DECREF(static_cast<PyObject*>(object));
}

// ml_dtypes.bfloat16 if that package is installed; NumPy has no such type of its own.
const py::object& bfloat16_dtype() {
  static const auto* dtype = [] {
    try {
      return new py::object(py::module_::import("numpy").attr("dtype")(
          py::module_::import("ml_dtypes").attr("bfloat16")));
    } catch (py::error_already_set&) {
      return new py::object();
    }
  }();
  return *dtype;
}

std::optional<Dtype> dtype_of_numpy(const py::dtype& dtype) {
  switch (dtype.num()) {
    case Flags::NPY_BOOL_:
      return Dtype::bool_;
    case Flags::NPY_BYTE_:
      return Dtype::int8;
    case Flags::NPY_UBYTE_:
      return Dtype::uint8;
    case Flags::NPY_SHORT_:
      return Dtype::int16;
    case Flags::NPY_INT_:
      return Dtype::int32;
    case Flags::NPY_LONG_:
    case Flags::NPY_LONGLONG_:
      return Dtype::int64;
    case 23:  // NPY_HALF
      return Dtype::float16;
    case Flags::NPY_FLOAT_:
      return Dtype::float32;
    case Flags::NPY_DOUBLE_:
      return Dtype::float64;
    default:
      break;
  }
  if (dtype.num() >= 256 && py::str(dtype.attr("name")).cast<std::string>() == "bfloat16") {
    return Dtype::bfloat16;
  }
  return std::nullopt;
}

bool has_repeats(const Array& array) {
  for (int i = 0; i < array.ndim(); ++i) {
    if (array.shape()[i] > 1 && array.strides()[i] == 0) return true;
  }
  return false;
}

bool same_view(const Array& array, const py::array& numpy) {
  if (numpy.ndim() != array.ndim() || numpy.data() != array.raw()) return false;
  for (int i = 0; i < array.ndim(); ++i) {
    if (numpy.shape(i) != array.shape()[i]) return false;
    if (array.shape()[i] > 1 && numpy.strides(i) != array.strides()[i]) return false;
  }
  return numpy.dtype().is(dtype_to_python(array.dtype())) ||
         dtype_of_numpy(numpy.dtype()) == array.dtype();
}

bool is_native(const py::dtype& dtype) {
  const char order = dtype.byteorder();
  return order == '=' || order == '|' ||
         order == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>');
}

}  // namespace

py::object dtype_to_python(Dtype dtype) {
  static const auto* dtypes = [] {
    auto* all = new py::object[kDtypeCount];
    for (int i = 0; i < kDtypeCount; ++i) {
      if (static_cast<Dtype>(i) == Dtype::bfloat16) continue;
      all[i] = py::dtype(std::string(dtype_name(static_cast<Dtype>(i))));
    }
    return all;
  }();
  if (dtype != Dtype::bfloat16) return dtypes[static_cast<int>(dtype)];
  if (!bfloat16_dtype()) {
    throw py::type_error(
        "[array] NumPy has no bfloat16: install ml_dtypes to see such arrays, or cast them to "
        "float32");
  }
  return bfloat16_dtype();
}

Dtype dtype_from_python(py::handle dtype) {
  if (py::isinstance<py::str>(dtype) && dtype.cast<std::string>() == "bfloat16") {
    return Dtype::bfloat16;
  }
  const py::dtype numpy = py::dtype::from_args(py::reinterpret_borrow<py::object>(dtype));
  if (const auto found = dtype_of_numpy(numpy)) return *found;
  throw TypeError(cat("[dtype] not supported: got ", py::str(numpy).cast<std::string>(),
                      ", expected bool, uint8, int8, int16, int32, int64, float16, bfloat16, "
                      "float32 or float64"));
}

py::tuple shape_to_python(const Dims& shape) {
  py::tuple out(shape.size());
  for (int i = 0; i < shape.size(); ++i) {
    PyTuple_SET_ITEM(out.ptr(), i, PyLong_FromLongLong(shape[i]));
  }
  return out;
}

py::object to_numpy(const Array& array) {
  if (!array.defined()) return py::none();
  if (array.device().kind != DeviceKind::cpu) {
    throw TypeError(cat("[array] NumPy sees the CPU's memory only: got ", array.device()));
  }
  if (void* owner = array.storage()->owner()) {
    const py::handle object(static_cast<PyObject*>(owner));
    if (py::isinstance<py::array>(object)) {  // tensors of other libraries own memory too
      const auto numpy = py::reinterpret_borrow<py::array>(object);
      if (same_view(array, numpy)) return numpy;
    }
  }
  auto* storage = array.storage().get();
  storage->retain();
  const py::capsule base(
      storage, [](void* pointer) { Ref<Storage>::adopt(static_cast<Storage*>(pointer)); });
  py::array numpy(py::reinterpret_borrow<py::dtype>(dtype_to_python(array.dtype())),
                  py::array::ShapeContainer(array.shape().begin(), array.shape().end()),
                  py::array::StridesContainer(array.strides().begin(), array.strides().end()),
                  array.raw(), base);
  if (!array.writeable() || has_repeats(array)) {
    py::detail::array_proxy(numpy.ptr())->flags &= ~Flags::NPY_ARRAY_WRITEABLE_;
  }
  return numpy;
}

bool is_on(const Array& array, py::handle ndarray) {
  const auto numpy = py::reinterpret_borrow<py::array>(ndarray);
  return numpy.writeable() && same_view(array, numpy) && is_native(numpy.dtype());
}

Array from_numpy(py::handle object, const char* op) {
  py::array numpy;
  if (py::isinstance<py::array>(object)) {
    numpy = py::reinterpret_borrow<py::array>(object);
  } else {
    if (auto array = from_cuda_interface(object, op)) return *std::move(array);
    numpy = py::array::ensure(object);
    if (!numpy) {
      PyErr_Clear();
      throw TypeError(cat("[", op, "] not an array: got ",
                          py::str(py::type::of(object)).cast<std::string>(),
                          ", expected a NumPy array or a number"));
    }
  }
  const auto dtype = dtype_of_numpy(numpy.dtype());
  if (!dtype) {
    throw TypeError(cat("[", op, "] dtype not supported: got ",
                        py::str(numpy.dtype()).cast<std::string>(),
                        ", expected bool, uint8, int8, int16, int32, int64, float16, bfloat16, "
                        "float32 or float64"));
  }
  if (numpy.ndim() > kMaxDims) {
    throw ValueError(
        cat("[", op, "] too many dimensions: got ", numpy.ndim(), ", expected at most ", kMaxDims));
  }
  if (!is_native(numpy.dtype()) || !(numpy.flags() & Flags::NPY_ARRAY_ALIGNED_)) {
    numpy = py::module_::import("numpy").attr("array")(numpy, dtype_to_python(*dtype));
  }
  Shape shape;
  Strides strides;
  for (py::ssize_t i = 0; i < numpy.ndim(); ++i) {
    shape.push_back(numpy.shape(i));
    strides.push_back(numpy.strides(i));
  }
  const bool writeable = numpy.writeable();
  auto* data = static_cast<std::byte*>(const_cast<void*>(numpy.data()));
  const std::int64_t bytes = numpy.nbytes();
  auto storage =
      Storage::adopt(data, bytes, Device{}, writeable, HostObject(numpy.release().ptr()));
  return Array(std::move(storage), data, shape, strides, *dtype);
}

void bind_numpy(py::module_& m) {
  HostObject::set_release(release_python_object);
  m.def(
      "empty_bytes",
      [](std::int64_t size) {
        if (size < 0) throw ValueError(cat("[empty_bytes] got ", size, ", expected none or more"));
        return py::array_t<std::uint8_t>(to_numpy(Array({size}, Dtype::uint8)));
      },
      py::arg("size"),
      "Bytes of our own memory, as a NumPy array of uint8; what is in them is left.");
}

}  // namespace chainrule::python
