#pragma once

#include "chainrule/backend/plugin_abi.h"

// What the stand-ins for the CUDA plug-in have in common: a table in which everything works, with
// one device and no kernels.
namespace chainrule::fake {

inline PluginStatus fill_text(const char* from, char* text, int size) {
  for (int i = 0; i < size; ++i) {
    text[i] = from[i];
    if (!from[i]) break;
  }
  return kPluginOk;
}

inline PluginTable working_table() {
  return {
      .stamp = {kPluginAbi, sizeof(PluginTable), plugin_layout(), CHAINRULE_VERSION},
      .last_error = [] { return "[cuda] the fake plug-in was told to fail"; },
      .device_count = [](int* count) { return *count = 1, kPluginOk; },
      .device_problem = [](int, char* text, int size) { return fill_text("", text, size); },
      .device_name = [](int, char* text, int size) { return fill_text("fake", text, size); },
      .rule_compiler = [](char*, char*, int) { return kPluginError; },
      .products = [](char*, char*, int) { return kPluginError; },
      .require_products = [](int) { return kPluginError; },
      .kernels = [](KernelRegistrar) {},
      .allocate = [](int, std::int64_t, void**) { return kPluginError; },
      .release = [](int, void*) { return kPluginError; },
      .copy = [](void*, Device, const void*, Device, std::int64_t) { return kPluginError; },
      .synchronize = [](int) { return kPluginError; },
      .memory_info = [](int, PluginMemoryInfo*) { return kPluginError; },
      .release_cached = [](int) { return kPluginError; },
      .stream = [](int) -> void* { return nullptr; },
      .stream_wait = [](int, void*, void*) { return kPluginError; },
      .drain = [](int, bool) { return kPluginError; },
      .memory_device = [](const void*, int*) { return kPluginError; },
  };
}

}  // namespace chainrule::fake

#define FAKE_PLUGIN(...)                                                          \
  extern "C" __attribute__((visibility("default"))) const chainrule::PluginTable* \
  chainrule_cuda_plugin() {                                                       \
    static const chainrule::PluginTable table = [] {                              \
      chainrule::PluginTable t = chainrule::fake::working_table();                \
      __VA_ARGS__;                                                                \
      return t;                                                                   \
    }();                                                                          \
    return &table;                                                                \
  }
