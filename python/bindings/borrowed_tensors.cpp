#include "borrowed_tensors.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/core/error.h"
#include "chainrule/update/update_rule.h"
#include "device_memory.h"
#include "overlap.h"
#include "tensor_exchange.h"
#include "tensor_layout.h"
#include "variable.h"

namespace py = pybind11;

namespace chainrule::python {
namespace {

bool is_negated(py::handle tensor) {
  return py::hasattr(tensor, "is_neg") && tensor.attr("is_neg")().cast<bool>();
}

std::byte* memory_of(const dlpack::Tensor& tensor) {
  return static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
}

// Thousands of tensors lie all over memory: what a library has about a tensor is fetched while
// the tensors before it are worked on.
constexpr std::size_t kAhead = 8;
constexpr std::ptrdiff_t kCacheLine = 64;

// `inside` is an address within what a library has about a tensor, or was.
void fetch_around(const void* inside) {
  const auto* middle = static_cast<const std::byte*>(inside);
  for (const std::ptrdiff_t lines : {-1, 0, 1, 2}) __builtin_prefetch(middle + lines * kCacheLine);
}

HostObject kept(py::handle object) { return HostObject(object.inc_ref().ptr()); }

// An array on a tensor's memory; undefined where there is none that rules could work on.
Array array_on(const dlpack::Tensor& tensor, py::handle owner) {
  const auto dtype = dlpack::dtype_of(tensor.dtype);
  if (!dtype || !is_floating(*dtype)) return {};
  if (!problem_with(tensor.device).empty()) return {};
  const Shape shape(tensor.shape, tensor.ndim);
  Strides strides(tensor.strides, tensor.ndim);
  if (overlaps(shape, strides, 1)) return {};
  for (std::int64_t& stride : strides) stride *= item_size(*dtype);
  auto* data = memory_of(tensor);
  const std::int64_t bytes = element_count(shape) * item_size(*dtype);
  return Array(Storage::adopt(data, bytes, device_from_dlpack(tensor.device), true, kept(owner)),
               data, shape, strides, *dtype);
}

// Parameters whose memory belongs to tensors of another library. Between `begin` and `end` each
// has its tensor's gradient; at other times it has none, so that nothing is kept alive.
//
// On GPUs our work and the library's run on streams that need not know of each other: what we do
// after `begin`, `look` or `ready` waits for what the library was given before, and what it is
// given after `end` or `done` waits for ours. So it may use memory anew once it has got it back.
class BorrowedTensors {
 public:
  BorrowedTensors(const py::object& type,
                  py::tuple plain,
                  py::object describe,
                  py::object refuse,
                  py::object alias,
                  py::object grow_version,
                  py::object stream)
      : reader_(type, std::move(plain), std::move(describe)),
        refuse_(std::move(refuse)),
        alias_(std::move(alias)),
        grow_version_(std::move(grow_version)),
        stream_(std::move(stream)) {}

  // `place[name]` is where the library's module keeps the tensor: another one there is refused.
  void add(py::handle param,
           const py::object& tensor,
           const std::string& path,
           const py::object& place,
           const py::str& name) {
    VariableImpl* impl = variable_or_null(param);
    if (!impl) throw TypeError(cat("[torch] ", path, ": not a parameter"));
    Entry entry;
    entry.param = Ref<VariableImpl>(impl);
    entry.tensor = tensor;
    entry.place = place.is_none() ? py::object() : place;
    entry.name = name;
    dlpack::Tensor seen;
    if (!reader_.read(tensor.ptr(), &seen)) refuse(path, tensor, py::none());
    follow(entry, seen, path);
    entries_.push_back(std::move(entry));
    paths_.push_back(path);
  }

  // A part of the library's model that has to stay where it is, with the tensors below it.
  void watch(const py::object& part,
             const std::string& path,
             const py::object& place,
             const py::str& name) {
    parts_.push_back({part, place, name, path});
  }

  // In the order in which tensors were added; None for what has none.
  void set_rules(const std::vector<std::optional<Ref<UpdateRule>>>& rules) {
    if (rules.size() != entries_.size()) throw ValueError("[torch] one rule for each tensor");
    for (std::size_t i = 0; i < rules.size(); ++i) entries_[i].rule = rules[i].value_or(nullptr);
  }

  // Follows tensors whose memory is elsewhere now; throws where one is replaced or does not fit.
  void look_at_all() {
    look_at_parts();
    for (Entry& entry : entries_) look(entry);
    ready();
  }

  // Before and after what we do outside a step.
  void ready() { wait(Whose::ours); }
  void done() { wait(Whose::theirs); }

  // `somebody` may see gradients in this step, and keep them: they stay alive then.
  void begin(bool somebody) {
    if (begun_) throw Error("[update] this optimizer is updating in another thread at this moment");
    look_at_parts();
    gradient_.forget();
    somebody_ = somebody;
    try {
      for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (i + kAhead < entries_.size()) {
          const Entry& next = entries_[i + kAhead];
          next.fetch();
          __builtin_prefetch(next.tensor.ptr());
          fetch_around(next.shape);
          fetch_around(next.gradient_shape);
        }
        if (!entries_[i].rule) continue;  // somebody else's
        look(entries_[i]);
        lend(entries_[i]);
      }
      ready();
    } catch (...) {
      for (Entry& entry : entries_) give_back(entry);
      throw;
    }
    begun_ = true;
  }

  // Takes the gradients away; what the step has updated gets a new version.
  void end() {
    if (!std::exchange(begun_, false)) return;
    // Whatever comes of it, gradients are given back.
    std::exception_ptr failure;
    try {
      done();
    } catch (...) {
      failure = std::current_exception();
    }
    std::size_t count = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (i + kAhead < entries_.size()) entries_[i + kAhead].fetch();
      Entry& entry = entries_[i];
      give_back(entry);
      const bool updated = entry.rule && entry.rule->t != entry.t;
      listed_ = listed_ && updated == entry.updated;
      entry.updated = updated;
      count += updated;
    }
    if (!std::exchange(listed_, true)) {
      py::list updated;
      for (const Entry& entry : entries_) {
        if (entry.updated) updated.append(entry.counted);
      }
      updated_ = updated;
    }
    if (count > 0) grow_version_(updated_);
    if (failure) std::rethrow_exception(failure);
  }

  std::size_t size() const { return entries_.size(); }

  // For Python's garbage collector.
  int traverse(visitproc visit, void* arg) const {
    for (const py::object* object : {&refuse_, &alias_, &grow_version_, &stream_}) {
      Py_VISIT(object->ptr());
    }
    for (const Part& part : parts_) {
      Py_VISIT(part.object.ptr());
      Py_VISIT(part.place.ptr());
    }
    for (const Entry& entry : entries_) {
      Py_VISIT(entry.tensor.ptr());
      Py_VISIT(entry.place.ptr());
      Py_VISIT(entry.counted.ptr());
    }
    Py_VISIT(updated_.ptr());
    return 0;
  }
  void clear() {
    parts_.clear();
    entries_.clear();
    updated_ = py::list();
    refuse_ = alias_ = grow_version_ = stream_ = py::none();
  }

  bool is_direct() const { return reader_.is_direct(); }
  bool has_torch_functions() const { return reader_.has_torch_functions(); }
  const std::vector<int>& gpus() const { return gpus_; }

 private:
  enum class Whose { ours, theirs };

  struct Part {
    py::object object;
    py::object place;
    py::object name;
    std::string path;
  };
  struct Entry {
    py::object tensor;
    std::byte* data = nullptr;
    const Layout* layout = nullptr;
    const void* shape =
        nullptr;       // where the library keeps the tensor's: another one, another place
    py::object place;  // null where nobody has to keep it
    py::object name;
    Ref<VariableImpl> param = nullptr;
    Ref<UpdateRule> rule = nullptr;
    std::int64_t t = 0;  // the rule's, when the step began
    // An object that is used again as long as nobody else has seen it, and whose memory it is on
    // during a step. The parameter has it then, or has one too where somebody may look.
    Variable gradient;
    const Layout* gradient_layout = nullptr;
    const std::byte* gradient_data = nullptr;
    const void* gradient_shape = nullptr;
    const VariableImpl* given = nullptr;  // to the parameter, this step
    py::object lent;
    py::object counted;  // what shares the tensor's version
    py::object holder;
    bool updated = false;  // by the last step

    // Asks for what each step looks at.
    void fetch() const {
      __builtin_prefetch(&param->grad());
      if (rule) __builtin_prefetch(&rule->t);
      __builtin_prefetch(given);
    }
  };

  // Has one side's streams wait, on the GPUs, for what the other's have been given so far.
  void wait(Whose waiting) {
    for (const int gpu : gpus_) {
      void* theirs = reinterpret_cast<void*>(stream_(gpu).cast<std::uintptr_t>());
      void* ours = cuda::stream(gpu);
      if (waiting == Whose::ours) {
        cuda::stream_wait(gpu, ours, theirs);
      } else {
        cuda::stream_wait(gpu, theirs, ours);
      }
    }
  }

  [[noreturn]] void refuse(const std::string& path, py::handle tensor, py::handle gradient) {
    refuse_(path, tensor, gradient);
    throw Error(cat("[torch] ", path, " cannot be updated"));
  }

  void check_place(const py::object& place,
                   const py::object& name,
                   const py::object& object,
                   const std::string& path) {
    if (PyDict_GetItemWithError(place.ptr(), name.ptr()) == object.ptr()) [[likely]]
      return;
    PyErr_Clear();
    refuse(path, object, py::none());
  }

  void look_at_parts() {
    for (const Part& part : parts_) check_place(part.place, part.name, part.object, part.path);
  }

  const std::string& path_of(const Entry& entry) const {
    return paths_[static_cast<std::size_t>(&entry - entries_.data())];
  }

  const Layout* shared(const dlpack::Tensor& tensor) {
    for (const Layout& layout : layouts_) {
      if (layout.is(tensor)) return &layout;
    }
    return &layouts_.emplace_back(tensor);
  }

  void look(Entry& entry) {
    if (entry.place) check_place(entry.place, entry.name, entry.tensor, path_of(entry));
    dlpack::Tensor now;
    if (!reader_.read(entry.tensor.ptr(), &now)) refuse(path_of(entry), entry.tensor, py::none());
    if (memory_of(now) == entry.data && now.shape == entry.shape && entry.layout->is(now))
        [[likely]]
      return;
    if (!entry.layout->fits(now)) refuse(path_of(entry), entry.tensor, py::none());
    follow(entry, now, path_of(entry));
  }

  void follow(Entry& entry, const dlpack::Tensor& now, const std::string& path) {
    if (may_be_negated(now) && is_negated(entry.tensor)) refuse(path, entry.tensor, py::none());
    const auto [counted, holder] = alias_(entry.tensor).cast<std::pair<py::object, py::object>>();
    Array array = array_on(now, counted);
    if (!array.defined()) refuse(path, entry.tensor, py::none());
    if (array.device() != Device{}) {
      const int gpu = array.device().index;
      if (std::find(gpus_.begin(), gpus_.end(), gpu) == gpus_.end()) gpus_.push_back(gpu);
    }
    entry.param->set_data(std::move(array));
    entry.data = memory_of(now);
    entry.layout = shared(now);
    entry.shape = now.shape;
    const bool shared_version = reader_.is_direct() && !holder.is_none();
    entry.counted = shared_version ? counted : entry.tensor;
    entry.holder = holder;
    listed_ = false;
  }

  void lend(Entry& entry) {
    if (entry.rule) entry.t = entry.rule->t;
    py::object object = gradient_.read(entry.tensor.ptr());
    if (object.is_none()) {
      entry.param->clear_grad();
      return;
    }
    dlpack::Tensor now;
    if (!reader_.read(object.ptr(), &now)) refuse(path_of(entry), entry.tensor, object);
    bool alike = entry.gradient_layout && entry.gradient_layout->is(now);
    if ((alike ? entry.gradient_layout->maybe_negated : may_be_negated(now)) &&
        is_negated(object)) {
      object = object.attr("resolve_neg")();
      entry.tensor.attr("grad") = object;
      if (!reader_.read(object.ptr(), &now)) refuse(path_of(entry), entry.tensor, object);
      alike = entry.gradient_layout && entry.gradient_layout->is(now);
    }
    std::byte* data = memory_of(now);
    if (entry.gradient.defined() && alike) [[likely]] {
      if (entry.gradient_data != data) {
        const Array& before = entry.gradient->data();
        entry.gradient->set_data(
            before.view(before.shape(), before.strides(), data - before.raw()));
      }
    } else {
      if (!entry.layout->fits(now)) refuse(path_of(entry), entry.tensor, object);
      // Nobody but this table keeps the memory alive, and it only during a step.
      Array array = array_on(now, py::none());
      if (!array.defined()) refuse(path_of(entry), entry.tensor, object);
      entry.gradient = Variable(std::move(array));
      entry.gradient_layout = shared(now);
    }
    entry.gradient_data = data;
    entry.gradient_shape = now.shape;
    entry.lent = std::move(object);
    entry.given = entry.gradient.impl().get();
    if (somebody_) {
      entry.param->put_grad(entry.gradient);
    } else {
      entry.param->put_grad(std::move(entry.gradient));
    }
  }

  void give_back(Entry& entry) {
    Variable taken = entry.param->take_grad();
    if (!entry.lent) return;
    if (!somebody_) {
      if (taken.impl().get() == entry.given) entry.gradient = std::move(taken);
    } else {
      taken = {};
      const Ref<Storage>& storage = entry.gradient->data().storage();
      if (entry.gradient.impl()->use_count() > 1 || entry.gradient->host_array() ||
          storage->use_count() > 1) {
        storage->point_to(storage->data(), kept(entry.lent));
        entry.gradient = {};
      }
    }
    entry.lent = {};
  }

  TensorReader reader_;
  AttributeReader gradient_{"grad"};
  py::object refuse_;
  py::object alias_;
  py::object grow_version_;
  py::object stream_;
  std::vector<int> gpus_;  // that parameters are on
  std::vector<Entry> entries_;
  std::vector<std::string> paths_;  // of the entries
  std::vector<Part> parts_;
  std::deque<Layout> layouts_;
  py::list updated_;  // what counts versions, of the entries that were updated
  bool listed_ = false;
  bool somebody_ = true;
  bool begun_ = false;
};

BorrowedTensors* held(PyObject* self) {
  auto* instance = reinterpret_cast<py::detail::instance*>(self);
  if (!instance->simple_layout || !instance->simple_holder_constructed) return nullptr;
  return static_cast<BorrowedTensors*>(instance->simple_value_holder[0]);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const BorrowedTensors* tensors = held(self);
  return tensors ? tensors->traverse(visit, arg) : 0;
}

int clear(PyObject* self) {
  if (BorrowedTensors* tensors = held(self)) tensors->clear();
  return 0;
}

}  // namespace

void bind_borrowed_tensors(py::module_& m) {
  Class<BorrowedTensors>(m, "BorrowedTensors",
                         py::custom_type_setup([](PyHeapTypeObject* heap_type) {
                           auto* type = &heap_type->ht_type;
                           type->tp_flags |= Py_TPFLAGS_HAVE_GC;
                           type->tp_traverse = &traverse;
                           type->tp_clear = &clear;
                         }),
                         "Parameters on the memory of another library's tensors.")
      .def(
          py::init<const py::object&, py::tuple, py::object, py::object, py::object, py::object,
                   py::object>(),
          py::arg("type"), py::arg("plain"), py::arg("describe"), py::arg("refuse"),
          py::arg("alias"), py::arg("grow_version"), py::arg("stream"),
          "``plain`` are classes whose objects are what their C++ tensors are, and ``stream(gpu)`` "
          "is the address of the stream that the library works on now.")
      .def("add", &BorrowedTensors::add, py::arg("param"), py::arg("tensor"), py::arg("path"),
           py::arg("place"), py::arg("name"), "Lets a parameter have a tensor's memory.")
      .def("watch", &BorrowedTensors::watch, py::arg("part"), py::arg("path"), py::arg("place"),
           py::arg("name"), "Refuses steps once a part of the model is another one.")
      .def("set_rules", &BorrowedTensors::set_rules, py::arg("rules"),
           "Says which rule updates which tensor.")
      .def("look", &BorrowedTensors::look_at_all,
           "Checks the tensors, follows moved memory, and has our work wait for the library's.")
      .def("ready", &BorrowedTensors::ready, "Has our work wait for the library's.")
      .def("done", &BorrowedTensors::done, "Has the library's work wait for ours.")
      .def("begin", &BorrowedTensors::begin, py::arg("somebody"),
           "Lends the tensors' gradients for one step, in which somebody may see and keep them.")
      .def("end", &BorrowedTensors::end,
           "Takes gradients away again and grows the versions of tensors that were updated.")
      .def("__len__", &BorrowedTensors::size)
      .def_property_readonly("gpus", &BorrowedTensors::gpus, "Numbers of the GPUs in use.")
      .def_property_readonly("is_direct", &BorrowedTensors::is_direct,
                             "Whether tensors are seen through DLPack's C interface.")
      .def_property_readonly("has_torch_functions", &BorrowedTensors::has_torch_functions,
                             "Whether plain ones are seen through PyTorch's own C functions.");
}

}  // namespace chainrule::python
