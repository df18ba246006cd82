#include "chainrule/core/storage.h"

#include <new>

#include "chainrule/core/memory.h"

namespace chainrule {
namespace {

// CPU blocks carry their Storage in front of the data: one allocation for both.
static_assert(sizeof(Storage) <= kBlockHeader);

HostObject::Release release_host_object = nullptr;

}  // namespace

void HostObject::set_release(Release release) { release_host_object = release; }
void HostObject::let_go(void* object) { release_host_object(object); }

Ref<Storage> Storage::allocate(std::int64_t bytes, Device device) {
  if (device.kind == DeviceKind::cpu) {
    auto* block = static_cast<std::byte*>(cpu_block_allocate(bytes + kBlockHeader));
    return Ref<Storage>(new (block) Storage(block + kBlockHeader, bytes, device));
  }
  void* data = device_memory(device.kind).allocate(bytes, device.index);
  return Ref<Storage>(new Storage(static_cast<std::byte*>(data), bytes, device));
}

Ref<Storage> Storage::adopt(void* data,
                            std::int64_t bytes,
                            Device device,
                            bool writeable,
                            HostObject owner) {
  auto* storage = new Storage(static_cast<std::byte*>(data), bytes, device);
  storage->writeable_ = writeable;
  storage->owner_ = std::move(owner);
  return Ref<Storage>(storage);
}

void Storage::destroy(Storage* storage) {
  if (storage->owner_) {
    delete storage;
  } else if (storage->device_.kind == DeviceKind::cpu) {
    const std::int64_t bytes = storage->bytes_ + kBlockHeader;
    storage->~Storage();
    cpu_block_release(storage, bytes);
  } else {
    device_memory(storage->device_.kind)
        .release(storage->data_, storage->bytes_, storage->device_.index);
    delete storage;
  }
}

}  // namespace chainrule
