#include "chainrule/backend/plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "chainrule/backend/kernel.h"
#include "chainrule/backend/plugin_abi.h"
#include "chainrule/core/error.h"
#include "chainrule/core/memory.h"

namespace chainrule::cuda {
namespace {

// Thrown while loading; the text becomes the reason.
struct Unavailable {
  std::string reason;
};

struct Plugin {
  const PluginTable* table = nullptr;  // null where CUDA is not available
  std::string reason;
  std::vector<std::string> problems;  // per device, empty where it can be used
};

struct Loader {
  std::mutex mutex;
  std::atomic<const Plugin*> plugin{nullptr};
  std::atomic<bool> forked{false};  // since CUDA was started
  std::string unknown_kernels;      // under the mutex
};

// Never destroyed: arrays may outlive every static object.
Loader& loader() {
  static auto* loader = new Loader;
  return *loader;
}

// Beside the library that holds this function.
std::string path_beside_library() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&path_beside_library), &info) || !info.dli_fname) {
    return kPluginFile;
  }
  const std::string library = info.dli_fname;
  const std::size_t slash = library.rfind('/');
  return slash == std::string::npos ? kPluginFile : library.substr(0, slash + 1) + kPluginFile;
}

std::string describe(const PluginStamp& stamp) {
  const bool named = stamp.abi == kPluginAbi && stamp.version;
  return cat("version ", named ? stamp.version : "unknown", ", ABI ", stamp.abi, ", layout ",
             std::hex, stamp.layout);
}

void open_library(Plugin& plugin) {
  const char* wanted = std::getenv("CHAINRULE_CUDA_PLUGIN");
  const std::string path = wanted && *wanted ? wanted : path_beside_library();
  if (access(path.c_str(), F_OK) != 0) {
    throw Unavailable{cat(
        "the CUDA plug-in was not found: expected ", path,
        wanted ? ", as CHAINRULE_CUDA_PLUGIN says" : "; this chainrule was built without CUDA")};
  }
  // Never closed again: a CUDA run time does not survive that.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    throw Unavailable{cat("the CUDA plug-in could not be opened: ", dlerror())};
  }
  auto* entry = reinterpret_cast<PluginEntry*>(dlsym(library, kPluginSymbol));
  const PluginTable* table = entry ? entry() : nullptr;
  if (!table) {
    throw Unavailable{cat(path, " is no CUDA plug-in of chainrule: it has no ", kPluginSymbol)};
  }
  const PluginStamp own{kPluginAbi, sizeof(PluginTable), plugin_layout(), CHAINRULE_VERSION};
  const PluginStamp& stamp = table->stamp;
  if (stamp.abi != own.abi || stamp.table_bytes != own.table_bytes || stamp.layout != own.layout ||
      std::strcmp(stamp.version, own.version) != 0) {
    throw Unavailable{cat("the CUDA plug-in ", path, " is of another build: got ", describe(stamp),
                          ", expected ", describe(own))};
  }
  plugin.table = table;
}

void find_devices(Plugin& plugin) {
  int count = 0;
  if (plugin.table->device_count(&count) != kPluginOk) {
    throw Unavailable{plugin.table->last_error()};
  }
  if (count <= 0) throw Unavailable{"the CUDA driver reports no device"};
  bool usable = false;
  for (int i = 0; i < count; ++i) {
    char text[256] = "";
    if (plugin.table->device_problem(i, text, sizeof(text)) != kPluginOk) {
      throw Unavailable{plugin.table->last_error()};
    }
    plugin.problems.emplace_back(text);
    usable |= plugin.problems.back().empty();
  }
  if (!usable) throw Unavailable{plugin.problems.front()};
}

[[noreturn]] void fail(const PluginTable& table, PluginStatus status) {
  if (status == kPluginOutOfMemory) throw OutOfMemoryError(table.last_error());
  throw DeviceError(table.last_error());
}

const PluginTable& table() {
  const Plugin* plugin = loader().plugin.load(std::memory_order_acquire);
  if (!plugin || !plugin->table) throw DeviceError("[cuda] the CUDA plug-in is not loaded");
  return *plugin->table;
}

std::atomic<void (*)(int)> reclaimer{nullptr};

void* allocate(std::int64_t bytes, int index) {
  require(index);
  const PluginTable& t = table();
  void* data = nullptr;
  PluginStatus status = t.allocate(index, bytes, &data);
  if (status == kPluginOutOfMemory) {
    if (const auto reclaim = reclaimer.load()) {
      reclaim(index);
      status = t.allocate(index, bytes, &data);
    }
  }
  if (status) fail(t, status);
  return data;
}

// Called by destructors: what cannot be returned is left to the end of the process.
void release(void* data, std::int64_t, int index) {
  const Plugin* plugin = loader().plugin.load(std::memory_order_acquire);
  if (plugin && plugin->table) plugin->table->release(index, data);
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes) {
  const PluginTable& t = table();
  if (const PluginStatus status = t.copy(to, to_device, from, from_device, bytes)) {
    fail(t, status);
  }
}

// Called by the plug-in, through which no exception may pass.
void add_kernel(const char* name, int column, void* function) {
  if (KernelBase* kernel = KernelBase::find(name)) {
    kernel->set(DeviceKind::cuda, column, function);
  } else {
    loader().unknown_kernels += cat(" ", name);
  }
}

void clear_kernels() {
  for (KernelBase* kernel : KernelBase::all()) {
    for (int i = 0; i < kDtypeCount; ++i) kernel->set(DeviceKind::cuda, i, nullptr);
  }
}

void fill_kernels(const Plugin& plugin) {
  std::string& unknown = loader().unknown_kernels;
  unknown.clear();
  plugin.table->kernels(add_kernel);
  if (!unknown.empty()) {
    throw Unavailable{cat("the CUDA plug-in provides kernels that nobody asks for:", unknown)};
  }
}

void after_fork_in_child() {
  const Plugin* plugin = loader().plugin.load(std::memory_order_relaxed);
  if (plugin && plugin->table) loader().forked = true;
}

const Plugin* load() {
  [[maybe_unused]] static const int watched = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  auto* plugin = new Plugin;
  try {
    open_library(*plugin);
    find_devices(*plugin);
    fill_kernels(*plugin);
    register_device_memory(DeviceKind::cuda, {allocate, release, copy});
  } catch (const Unavailable& unavailable) {
    clear_kernels();
    *plugin = {nullptr, unavailable.reason, {}};
  }
  return plugin;
}

const Plugin& plugin() {
  Loader& all = loader();
  const Plugin* found = all.plugin.load(std::memory_order_acquire);
  if (!found) {
    std::lock_guard lock(all.mutex);
    found = all.plugin.load(std::memory_order_relaxed);
    if (!found) {
      found = load();
      all.plugin.store(found, std::memory_order_release);
    }
  }
  return *found;
}

const PluginTable& required(int index) {
  require(index);
  return table();
}

using AskForLibrary = PluginStatus (*)(char* name, char* problem, int size);
LibraryState library(AskForLibrary PluginTable::* ask) {
  if (const Status found = status(); !found.available) {
    throw DeviceError(cat("[cuda] CUDA is not available: ", found.reason));
  }
  const PluginTable& t = table();
  char name[2048] = "";
  char problem[2048] = "";
  if (const PluginStatus status = (t.*ask)(name, problem, sizeof(name))) fail(t, status);
  return {name, problem};
}

// Runs when the library is loaded: core may not know of plug-ins.
const bool provided = (set_device_provider([](DeviceKind) { require(0); }), true);

}  // namespace

Status status() {
  const Plugin& p = plugin();
  if (p.table && loader().forked) {
    return {false,
            "CUDA was started before this process was forked, and does not survive that: "
            "start processes with the method 'spawn'"};
  }
  return {p.table != nullptr, p.reason};
}

int device_count() { return status().available ? static_cast<int>(plugin().problems.size()) : 0; }

void require(int index) {
  const Plugin& p = plugin();
  if (!p.table || loader().forked) {
    throw DeviceError(cat("[device] ", Device{DeviceKind::cuda, static_cast<std::int8_t>(index)},
                          " is not available: ", status().reason));
  }
  const int count = static_cast<int>(p.problems.size());
  if (index < 0 || index >= count) {
    throw DeviceError(cat("[device] no such device: got cuda:", index, ", expected cuda:0",
                          count > 1 ? cat(" to cuda:", count - 1) : ""));
  }
  if (!p.problems[static_cast<std::size_t>(index)].empty()) {
    throw DeviceError(cat("[device] ", p.problems[static_cast<std::size_t>(index)]));
  }
}

LibraryState rule_compiler() { return library(&PluginTable::rule_compiler); }

LibraryState products() { return library(&PluginTable::products); }

void require_products(int index) {
  const PluginTable& t = required(index);
  if (const PluginStatus status = t.require_products(index)) fail(t, status);
}

std::string device_name(int index) {
  const PluginTable& t = required(index);
  char text[256] = "";
  if (const PluginStatus status = t.device_name(index, text, sizeof(text))) fail(t, status);
  return text;
}

DeviceMemoryInfo memory_info(int index) {
  const PluginTable& t = required(index);
  PluginMemoryInfo info{};
  if (const PluginStatus status = t.memory_info(index, &info)) fail(t, status);
  return {info.in_use, info.cached, info.free, info.total};
}

void set_reclaimer(void (*reclaim)(int index)) { reclaimer = reclaim; }

void release_cached(int index) {
  const PluginTable& t = required(index);
  if (const PluginStatus status = t.release_cached(index)) fail(t, status);
}

void synchronize(int index) {
  const PluginTable& t = required(index);
  if (const PluginStatus status = t.synchronize(index)) fail(t, status);
}

void* stream(int index) { return required(index).stream(index); }

void stream_wait(int index, void* waiter, void* awaited) {
  const PluginTable& t = required(index);
  if (const PluginStatus status = t.stream_wait(index, waiter, awaited)) fail(t, status);
}

void drain(int index, bool everybody) {
  const PluginTable& t = required(index);
  if (const PluginStatus status = t.drain(index, everybody)) fail(t, status);
}

int memory_device(const void* data) {
  const PluginTable& t = required(0);
  int index = -1;
  if (const PluginStatus status = t.memory_device(data, &index)) fail(t, status);
  return index;
}

void forget_plugin() {
  Loader& all = loader();
  std::lock_guard lock(all.mutex);
  const Plugin* old = all.plugin.exchange(nullptr);
  if (!old) return;
  clear_kernels();
  delete old;
}

}  // namespace chainrule::cuda
