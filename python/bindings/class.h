#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "chainrule/core/ref.h"
#include "errors.h"

namespace chainrule::python {

// What copies and pickles ask for. The two oldest protocols would make an object of pybind11's own
// base class, which ends the process.
inline pybind11::object reduced(const pybind11::object& self, int protocol) {
  const auto object = pybind11::module_::import("builtins").attr("object");
  return object.attr("__reduce_ex__")(self, std::max(protocol, 2));
}

// pybind11's class_, whose objects cannot be used before __init__ ran. Left alone, pybind11 gives
// such an object memory that nothing was written to, for constructors that fill it in place; there
// are none here.
template <class T, class... Options>
class Class : public pybind11::class_<T, Options...> {
 public:
  template <class... Extra>
  Class(pybind11::handle scope, const char* name, const Extra&... extra)
      : pybind11::class_<T, Options...>(scope, name, extra...) {
    auto* python = reinterpret_cast<PyTypeObject*>(this->ptr());
    pybind11::detail::get_type_info(python)->operator_new = [](std::size_t) -> void* {
      throw_uninitialized(pybind11::type::of<T>());
    };
    this->def("__reduce_ex__", &reduced, pybind11::arg("protocol"));
  }
};

}  // namespace chainrule::python

namespace pybind11::detail {

// What PYBIND11_DECLARE_HOLDER_TYPE(T, chainrule::Ref<T>, true) gives, with the same refusal.
template <class T>
struct always_construct_holder<chainrule::Ref<T>> : always_construct_holder_value<true> {};

template <class T>
class type_caster<chainrule::Ref<T>> : public type_caster_holder<T, chainrule::Ref<T>> {
  using Base = type_caster_holder<T, chainrule::Ref<T>>;

 public:
  bool load(handle source, bool convert) {
    return this->template load_impl<type_caster>(source, convert);
  }

 protected:
  friend class type_caster_generic;
  void load_value(value_and_holder&& found) {
    if (!found.holder_constructed()) chainrule::python::throw_uninitialized(type::of<T>());
    Base::load_value(std::move(found));
  }
};

}  // namespace pybind11::detail
