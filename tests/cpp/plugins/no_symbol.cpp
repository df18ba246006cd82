// A library that has nothing to do with chainrule.
extern "C" int something_else() { return 0; }
