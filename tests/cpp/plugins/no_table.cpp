// Has the entry, and nothing behind it.
extern "C" __attribute__((visibility("default"))) const void* chainrule_cuda_plugin() {
  return nullptr;
}
