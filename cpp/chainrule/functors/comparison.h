#pragma once

#include "chainrule/functors/unary.h"

namespace chainrule::functors {
inline namespace CHAINRULE_ISA {

#define CHAINRULE_COMPARISON(Name, text, symbol) \
  struct Name {                                  \
    static constexpr char name[] = text;         \
    template <class T>                           \
    CR_INLINE bool operator()(T a, T b) const {  \
      return a symbol b;                         \
    }                                            \
  }

CHAINRULE_COMPARISON(Equal, "equal", ==);
CHAINRULE_COMPARISON(NotEqual, "not_equal", !=);
CHAINRULE_COMPARISON(Less, "less", <);
CHAINRULE_COMPARISON(LessEqual, "less_equal", <=);
CHAINRULE_COMPARISON(Greater, "greater", >);
CHAINRULE_COMPARISON(GreaterEqual, "greater_equal", >=);

#undef CHAINRULE_COMPARISON

using Comparisons = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual>;

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::functors
