// Cannot be opened: needs a function that nobody has.
extern "C" int nobody_has_this_function();
extern "C" int something() { return nobody_has_this_function(); }
