#pragma once

#include <cstdint>

#include "chainrule/functors/math.h"

// The contract of an update rule: one header in update/rules/, one line in update/rule_list.h.
// The traversal over many tensors, threads, half types, hooks and devices are written once for
// all rules; the header is read by g++ once per instruction set and by nvcc. As an example:
//
//   struct MomentumSGD {
//     static constexpr char name[] = "MomentumSGD";
//     // Hyperparameters: name and default. `Values` holds them resolved, in this order.
//     static constexpr Field fields[] = {{"lr", 0.01}, {"momentum", 0.9}};
//     struct Values { double lr, momentum; };
//     // Arrays like the parameter that live from step to step, zero at first.
//     static constexpr auto states = names("v");
//
//     // On the host, in double: what an element needs. Computed when a value changes; with a
//     // second argument `const Step&` once per step, for what depends on the step's number.
//     template <class T>
//     struct Coefs { T lr, momentum; };
//     static Coefs<double> prepare(const Values& h) { return {h.lr, h.momentum}; }
//
//     // Per element: T is float or double; the arguments after `p` are the states, in order.
//     // No std::, no branch on a value: math::select, so that the loop becomes vector code. No
//     // sum of two products, of which every compiler, and one compiler here and there, would
//     // round another one: multiply_add.
//     template <class T>
//     CR_INLINE static void step(const Coefs<T>& c, T g, T& p, T& v) {
//       v = multiply_add(c.momentum, v, -c.lr * g);
//       p += v;
//     }
//   };
//
// Optional members:
//   static constexpr bool squares[]          which states hold squares, where any does
//   static constexpr double initial[]        first values of the states, where not all are zero;
//                                            kParameter: the parameter's
//   static constexpr auto scalars            names of numbers kept per parameter between steps
//   static void begin(const Values&, double* scalars)     their first values
//   static constexpr bool uses_scalars = false   of a variant that has no use for them
//   static bool selected(const Values&)      several structs may share a name: the first whose
//                                            `selected` is true runs (variants without a branch)
//
//   static constexpr bool reads_param = true    where a step is not `p = keep p + d` with a d that
//                                            does not look at p (`keep` is the coefficient of that
//                                            name, or one)
//
// A rule that looks at the whole tensor before it moves it measures in a first sweep:
//   static constexpr int sums = 2;           how many sums over the tensor it needs
//   static Sums<T, 2> measure(const Coefs<T>& c, T g, T p, T& v)
//                                            one element's addends; may change the states
//   static void refine(const Values&, const Step&, std::int64_t size, const double* sums,
//                      Coefs<double>& c)     on the host, between the sweeps: what depends on them
//   static constexpr bool shared_sums = true the sums go over all parameters of this rule together,
//                                          and so do the scalars: before an update, each takes
//                                          those of the parameter with the most updates
// Sums are taken in double and in a fixed order.
namespace chainrule::update {

using functors::math::multiply_add;

enum class FieldKind : std::uint8_t {
  real,
  integer,  // a whole number by default, shown as one
  boolean,
  vanishing,  // a small real that must not become zero in the type computed in
};

struct Field {
  const char* name;
  double value;
  FieldKind kind = FieldKind::real;
};

// The first value of a state that begins as a copy of the parameter.
inline constexpr double kParameter = __builtin_huge_val();

template <int N>
struct Names {
  static constexpr int count = N;
  const char* name[N ? N : 1];
};

template <class... Strings>
consteval Names<static_cast<int>(sizeof...(Strings))> names(Strings... strings) {
  return {{strings...}};
}

// What one element adds to the sums of a rule that measures.
template <class T, int N>
struct Sums {
  T addend[N];
};

template <class Rule>
constexpr int count_sums() {
  if constexpr (requires { Rule::sums; }) {
    return Rule::sums;
  } else {
    return 0;
  }
}

// Powers that many rows of one step share: beta^t is the same for all of them.
class Powers {
 public:
  double operator()(double base, std::int64_t t) {
    for (const Entry& entry : entries_) {
      if (entry.base == base && entry.t == t) return entry.power;
    }
    Entry& entry = entries_[next_++ % kEntries];
    entry = {base, t, __builtin_pow(base, static_cast<double>(t))};
    return entry.power;
  }

 private:
  static constexpr unsigned kEntries = 4;
  struct Entry {
    double base;
    std::int64_t t;
    double power;
  };
  Entry entries_[kEntries] = {{0, -1, 0}, {0, -1, 0}, {0, -1, 0}, {0, -1, 0}};
  unsigned next_ = 0;
};

// Where one parameter stands: the number of this update, counted from 1, and its scalars.
// Scalars may be changed; the change is kept if the update takes place.
struct Step {
  std::int64_t t;
  double* scalars;
  Powers* powers;

  double power(double base) const { return (*powers)(base, t); }
};

}  // namespace chainrule::update
