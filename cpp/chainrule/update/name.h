#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chainrule/core/api.h"

namespace chainrule {

// A name that is compared by address: there is one string for each spelling.
using Name = const std::string*;
CHAINRULE_API Name intern(std::string_view text);

// Of `known`, the spelling nearest to `text`; empty where none is near.
CHAINRULE_API std::string nearest(std::string_view text, const std::vector<std::string>& known);

// "; did you mean 'lr'? Known: lr, momentum"
CHAINRULE_API std::string suggestion(std::string_view text, const std::vector<std::string>& known);

}  // namespace chainrule
