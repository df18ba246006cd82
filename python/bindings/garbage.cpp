#include "garbage.h"

#include <algorithm>

#include "function_node.h"
#include "gil.h"
#include "variable.h"

// A function written in Python that keeps a variable computed from it, `self.y = y`, closes a
// cycle: function -> variable -> C++ nodes -> function. The collector may be told of the last
// reference only if it belongs to this variable alone; so the walk from a variable enters an
// object when as many references to it were met as its count says. What the native functions save
// of their inputs is not counted, so that the walk ends at a product of variables, for example.
namespace chainrule::python {
namespace {

destructor base_dealloc = nullptr;

// The variable, or null before __init__.
VariableImpl* impl_of(PyObject* self) {
  auto* instance = reinterpret_cast<pybind11::detail::instance*>(self);
  if (!instance->simple_layout || !instance->simple_holder_constructed) return nullptr;
  return static_cast<VariableImpl*>(instance->simple_value_holder[0]);
}

// Walks what a variable alone keeps alive, as far as it is small.
class Walk {
 public:
  Walk(visitproc visit, void* argument) : visit_(visit), argument_(argument) {}

  int from(const VariableImpl& variable) {
    see(&variable, nullptr);
    while (todo_ > 0) {
      const Owned next = stack_[--todo_];
      if (next.variable) {
        const VariableImpl& v = *next.variable;
        if (v.grad().defined()) see(v.grad().impl().get(), nullptr);
        if (v.kept_creator()) see(nullptr, v.kept_creator().get());
        continue;
      }
      if (PyObject* function = function_of(*next.node)) {
        if (const int result = visit_(function, argument_)) return result;
      }
      for (const Edge& edge : next.node->inputs()) {
        if (edge.node) see(nullptr, edge.node.get());
        if (edge.leaf) see(edge.leaf.get(), nullptr);
      }
      for_each_saved(*next.node, [&](const Variable& saved) {
        if (saved.defined()) see(saved.impl().get(), nullptr);
      });
    }
    return 0;
  }

 private:
  static constexpr int kMost = 64;
  struct Owned {
    const VariableImpl* variable;
    Node* node;
  };
  struct Seen {
    Owned object;
    std::uint32_t references;
  };

  // One more reference to an object is known; it is entered when all are.
  void see(const VariableImpl* variable, Node* node) {
    Seen* const end = seen_ + count_;
    Seen* found = std::find_if(seen_, end, [&](const Seen& s) {
      return s.object.variable == variable && s.object.node == node;
    });
    if (found == end) {
      if (count_ == kMost) return;
      *found = {{variable, node}, 0};
      ++count_;
    }
    const std::uint32_t all = variable ? variable->use_count() : node->use_count();
    if (++found->references == all) stack_[todo_++] = found->object;
  }

  visitproc visit_;
  void* argument_;
  Seen seen_[kMost];
  Owned stack_[kMost];
  int count_ = 0;
  int todo_ = 0;
};

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  // Native work without the lock may change counts. Whether there is any cannot change during a
  // collection, so that what is visited stays the same all through it.
  if (live_python_functions() == 0 || ReleaseGil::active() > 0) return 0;
  const VariableImpl* impl = impl_of(self);
  return impl ? Walk(visit, arg).from(*impl) : 0;
}

int clear(PyObject* self) {
  VariableImpl* impl = impl_of(self);
  if (impl && impl->use_count() == 1) {
    impl->set_creator({}, 0);
    impl->clear_grad();
  }
  return 0;
}

// Variables are collected only where there are functions written in Python.
PyObject* allocate(PyTypeObject* type, Py_ssize_t count) {
  PyObject* self = PyType_GenericAlloc(type, count);
  if (self && live_python_functions() == 0) PyObject_GC_UnTrack(self);
  return self;
}

// A gradient that was recorded (double backprop) leads back to its variable, a cycle within C++.
// With its last handle gone nobody can differentiate that gradient again: its values stay.
void deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);  // what is freed below may start a collection
  VariableImpl* impl = impl_of(self);
  if (impl && impl->use_count() > 1 && impl->grad().defined() && impl->grad()->kept_creator()) {
    const Variable gradient = impl->grad();  // freed after it is replaced
    impl->clear_grad();
    impl->set_grad(Variable(gradient.array()));
  }
  base_dealloc(self);
}

}  // namespace

void install_garbage_collection(PyHeapTypeObject* heap_type) {
  PyTypeObject& type = heap_type->ht_type;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC;
  type.tp_traverse = traverse;
  type.tp_clear = clear;
  type.tp_alloc = allocate;
  base_dealloc = type.tp_base->tp_dealloc;
  type.tp_dealloc = deallocate;
}

}  // namespace chainrule::python
