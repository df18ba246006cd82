#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "chainrule/backend/elementwise.h"
#include "chainrule/backend/transfer.h"
#include "device_memory.h"
#include "dlpack.h"
#include "dlpack_capsule.h"
#include "errors.h"
#include "gil.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

using dlpack::kIsCopied;
using dlpack::kReadOnly;
using dlpack::ManagedTensor;
using dlpack::ManagedTensorVersioned;

using Version = std::optional<std::pair<int, int>>;
using Numbers = std::optional<std::pair<int, int>>;  // of a device

// An array on its way out; lives until the consumer is done with it.
template <class Managed>
struct Exported {
  Managed managed{};
  Array array;
  bool wait = false;  // for streams whose work on it nobody else waits for
  std::int64_t shape[kMaxDims];
  std::int64_t strides[kMaxDims];

  ~Exported() {
    if (wait) drain_device(array.device().index, true);
  }
};

// Lets go of a tensor that nobody has consumed.
template <class Managed>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Managed::name)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::name));
  if (managed->deleter) managed->deleter(managed);
}

template <class Managed>
py::object export_as(const Array& array, std::uint64_t flags, bool wait) {
  auto out = std::make_unique<Exported<Managed>>();
  out->array = array;
  const std::int64_t item = item_size(array.dtype());
  for (int i = 0; i < array.ndim(); ++i) {
    out->shape[i] = array.shape()[i];
    // Where there is nothing to step over, any stride will do.
    const std::int64_t stride = array.shape()[i] > 1 ? array.strides()[i] : item;
    if (stride % item != 0) {
      throw py::buffer_error(cat("[dlpack] a stride of ", stride, " bytes is no multiple of ", item,
                                 ", the size of an element: ask for a copy"));
    }
    out->strides[i] = stride / item;
  }
  Managed& managed = out->managed;
  managed.tensor = {array.raw(),
                    dlpack::device_of(array),
                    array.ndim(),
                    dlpack::type_of(array.dtype()),
                    out->shape,
                    out->strides,
                    0};
  managed.context = out.get();
  // Whatever thread calls it: what keeps Python objects takes the lock.
  managed.deleter = [](Managed* self) { delete static_cast<Exported<Managed>*>(self->context); };
  if constexpr (std::is_same_v<Managed, ManagedTensorVersioned>) {
    managed.major = 1;
    managed.minor = 0;
    managed.flags = flags;
  }
  PyObject* capsule = PyCapsule_New(&managed, Managed::name, destroy_capsule<Managed>);
  if (!capsule) throw py::error_already_set();
  out->wait = wait;
  static_cast<void>(out.release());
  return py::reinterpret_steal<py::object>(capsule);
}

bool runs_backwards(const Array& array) {
  for (int i = 0; i < array.ndim(); ++i) {
    if (array.strides()[i] < 0 && array.shape()[i] > 1) return array.size() != 0;
  }
  return false;
}

// The consumer's stream as the protocol numbers it.
std::optional<std::int64_t> stream_number(const py::object& stream) {
  if (stream.is_none()) return std::nullopt;
  if (!PyLong_Check(stream.ptr())) {
    throw py::type_error(
        cat("[dlpack] stream: got ", type_name(stream), ", expected an integer or None"));
  }
  int overflow = 0;
  const std::int64_t number = PyLong_AsLongLongAndOverflow(stream.ptr(), &overflow);
  if (overflow != 0 || number == 0 || number < -1) {
    throw py::value_error(cat("[dlpack] stream: got ", py::str(stream).cast<std::string>(),
                              ", expected None or 1, the legacy default stream, 2, the thread's "
                              "own, a stream's address, or -1 where nobody is to wait"));
  }
  return number;
}

// Has the consumer's stream wait for what was written. True where letting go of the memory has to
// wait for the consumer, because the stream that it is released on does not.
bool hand_over(int device, const std::optional<std::int64_t>& stream) {
  const std::int64_t number = stream.value_or(dlpack::kLegacyStream);
  if (number != dlpack::kNoStream) {
    cuda::stream_wait(device, reinterpret_cast<void*>(number), cuda::stream(device));
  }
  return number != dlpack::kLegacyStream && number != dlpack::kThreadStream;
}

template <bool any_strides>
py::object to_dlpack(const VariableImpl& self,
                     const py::object& stream,
                     const Version& max_version,
                     const Numbers& device,
                     std::optional<bool> copy) {
  Array array = self.data();
  if (!array.defined()) throw py::buffer_error("[dlpack] the variable has no array yet");
  const Device own = array.device();
  const Device target = device ? device_from_dlpack("dlpack", "dl_device", *device) : own;
  const auto number = stream_number(stream);
  if (own == Device{} && target == own && number.value_or(dlpack::kNoStream) != dlpack::kNoStream) {
    throw py::buffer_error(
        cat("[dlpack] stream: the CPU has none: got ", *number, ", expected None"));
  }
  if (target != own && copy.has_value() && !*copy) {
    throw py::buffer_error(cat("[dlpack] dl_device: an array on ", own, " is copied to get to ",
                               target, ": got copy=False"));
  }
  std::uint64_t flags = 0;
  if (target != own || copy.value_or(false)) {
    const ReleaseGil gil(array.size());
    array = target != own ? to_device(array, target) : copied(array);
    flags = kIsCopied;
  } else if (array.size() != 0 && (!array.writeable() || array.has_repeats())) {
    flags = kReadOnly;
  }
  // PyTorch ends the process over it (2.13 does, over NumPy's arrays, too).
  if (!any_strides && runs_backwards(array)) {
    throw py::buffer_error(
        "[dlpack] the array runs backwards, which PyTorch cannot take: got a negative stride, "
        "expected none: ask for a copy; numpy.asarray needs none");
  }
  const bool versioned = max_version && max_version->first >= 1;
  if ((flags & kReadOnly) && !versioned) {
    throw py::buffer_error(
        "[dlpack] the array is read-only, which DLPack before version 1 cannot tell: ask for a "
        "copy");
  }
  const bool wait = target.kind == DeviceKind::cuda && hand_over(target.index, number);
  return versioned ? export_as<ManagedTensorVersioned>(array, flags, wait)
                   : export_as<ManagedTensor>(array, flags, wait);
}

}  // namespace

void bind_dlpack(VariableClass& variable) {
  variable
      .def(
          "__dlpack__", &to_dlpack<false>, py::kw_only(), py::arg("stream") = py::none(),
          py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
          py::arg("copy") = py::none(),
          "Gives the data to another library as DLPack's protocol says: without a copy, unless\n"
          "``copy`` is true or ``dl_device`` is another device. The memory lives as long as the\n"
          "other side needs it.\n\n"
          "Args:\n"
          "    stream: On a CUDA device, the stream that the other side works on, as an integer:\n"
          "        it is made to wait for what was computed here. None and 1 stand for the legacy\n"
          "        default stream, 2 for the thread's own, -1 for no waiting. None on the CPU.\n"
          "    max_version: The newest version that the other side understands. Before ``(1, 0)``\n"
          "        nothing read-only can be given.\n"
          "    dl_device: Where the memory is to be: None where it is, ``(1, 0)`` on the CPU,\n"
          "        ``(2, i)`` on a CUDA device.\n"
          "    copy: Whether to copy; False refuses to.\n\n"
          "Returns:\n"
          "    A capsule.\n\n"
          "Raises:\n"
          "    BufferError: If it cannot be given so: without a copy nothing can whose elements\n"
          "        run backwards, or are laid out in steps of a fraction of one.\n"
          "    TypeError: If ``stream`` is no integer.\n"
          "    ValueError: If it is one that the protocol does not have.\n\n"
          "Example:\n"
          "    >>> import numpy, chainrule\n"
          "    >>> v = chainrule.Variable(numpy.arange(3))\n"
          "    >>> numpy.from_dlpack(v)\n"
          "    array([0, 1, 2])\n")
      .def(
          "__dlpack_device__",
          [](const VariableImpl& self) {
            const dlpack::Device device = dlpack::device_of(self.data());
            return std::pair(device.type, device.id);
          },
          "The device that the data lie on, as DLPack numbers them: ``(1, 0)`` is the CPU,\n"
          "``(2, i)`` a CUDA device.");
  variable.def("_dlpack_of_any_strides", &to_dlpack<true>, py::kw_only(),
               py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
               py::arg("dl_device") = py::none(), py::arg("copy") = py::none(),
               "``__dlpack__`` for a library that takes negative strides.");
  bind_from_dlpack(variable);
}

}  // namespace chainrule::python
