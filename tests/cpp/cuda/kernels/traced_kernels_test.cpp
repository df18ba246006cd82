#include "../../../../cuda/kernels/traced_kernels.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "../../update/support.h"
#include "../device_test.h"
#include "chainrule/backend/cpu/update.h"
#include "chainrule/update/sweep.h"
#include "traced_programs.h"

namespace chainrule::testing {
namespace {

// Generated kernels on emulated devices, where the host's compiler takes the part of NVRTC. A
// plug-in looks for NVRTC once, so that this one is a copy of its own.
class TracedKernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
    std::string name = (std::filesystem::temp_directory_path() / "chainrule_XXXXXX").string();
    ASSERT_TRUE(mkdtemp(name.data()));
    folder_ = name;
    std::filesystem::copy(CHAINRULE_TEST_PLUGINS "/emulated.so", folder_ / "emulated.so");
    setenv("TMPDIR", name.c_str(), 1);  // the compiler's files go with it
    setenv("CHAINRULE_NVRTC", kCompiler, 1);
    setenv("CHAINRULE_CUDA_PLUGIN", (folder_ / "emulated.so").c_str(), 1);
    cuda::forget_plugin();
    const cuda::Status status = cuda::status();
    ASSERT_TRUE(status.available) << status.reason;
  }
  void TearDown() override {
    before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1);
    unsetenv("CHAINRULE_NVRTC");
    unsetenv("CHAINRULE_CUDA_PLUGIN");
    cuda::forget_plugin();
    std::filesystem::remove_all(folder_);
  }

  // How many kernels were compiled so far.
  static int compiled() {
    void* library = dlopen(kCompiler, RTLD_NOW | RTLD_NOLOAD);
    if (!library) return 0;
    return reinterpret_cast<int (*)()>(dlsym(library, "host_compiler_count"))();
  }

  static constexpr const char* kCompiler = CHAINRULE_TEST_PLUGINS "/host_compiler.so";
  std::filesystem::path folder_;
  std::string before_;
};

// Rows for one program and their numbers, on one device.
struct Rows {
  std::vector<Array> arrays;  // of each row: parameter, gradient, states
  std::vector<update::Row> rows;
  std::vector<double> statistics;
  Device device;

  Rows(const update::TracedProgram& program, Dtype dtype, Device where) : device(where) {
    std::uint64_t seed = 1;
    for (const std::int64_t size : {1, 17, 1024, 4097, 9001}) {
      for (int k = 0; k < 2 + program.state_count; ++k) {
        arrays.push_back(to_device(array_of(noise(size, seed++), dtype), device));
      }
      const Array* own = &arrays[arrays.size() - 2 - static_cast<std::size_t>(program.state_count)];
      update::Row row = row_of(own[1].raw(), dtype, size);
      row.param = own[0].raw();
      row.state_count = static_cast<std::uint8_t>(program.state_count);
      row.state_dtype = row.param_dtype;
      for (int k = 0; k < program.state_count; ++k) row.state[k] = own[2 + k].raw();
      row.rule = update::kTracedRule;
      row.traced = &program;
      row.in_place = true;
      row.coefs[0] = -0.75;
      row.coefs[1] = 0.5;
      row.observed = size > 1000;
      row.clear_grad = size == 17;
      rows.push_back(row);
    }
  }
  void update() {
    std::vector<update::Chunk> chunks;
    std::vector<std::int64_t> starts{0};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      append_chunks(chunks, starts, static_cast<std::int32_t>(i), rows[i].size);
    }
    statistics.assign(chunks.size() * update::kStatistics, 0);
    run_update(device,
               {rows.data(), chunks.data(), starts.data(), static_cast<std::int64_t>(rows.size()),
                static_cast<std::int64_t>(chunks.size()), statistics.data()});
  }
};

TEST_F(TracedKernels, GiveTheValuesOfTheCpu) {
  const WrittenProgram written = every_instruction();
  const update::TracedProgram program = written.view();
  const int before = compiled();
  for (const Dtype dtype : {Dtype::float32, Dtype::float64}) {
    Rows here(program, dtype, {});
    Rows there(program, dtype, kCuda);
    for (int step = 0; step < 2; ++step) {
      here.update();
      there.update();
    }
    const double unit = dtype == Dtype::float64 ? 1e-13 : 2e-5;
    for (std::size_t a = 0; a < here.arrays.size(); ++a) {
      const std::vector<double> expected = values_of(here.arrays[a]);
      const std::vector<double> found = values_of(to_device(there.arrays[a], {}));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_TRUE(std::isfinite(expected[i])) << "array " << a << " element " << i;
        ASSERT_NEAR(found[i], expected[i], unit * std::max(1.0, std::abs(expected[i])))
            << dtype << " array " << a << " element " << i;
      }
    }
    for (std::size_t i = 0; i < here.statistics.size(); ++i) {
      const double sum = here.statistics[i];
      EXPECT_NEAR(there.statistics[i], sum, 1e-5 * std::max(1.0, sum)) << dtype << " " << i;
    }
  }
  EXPECT_EQ(cuda::rule_compiler().problem, "");
  EXPECT_EQ(cuda::rule_compiler().name, std::string(kCompiler) + " 13.0");
  // With and without statistics, once each for all steps and rows.
  EXPECT_EQ(compiled() - before, 4);
}

// Where nothing comes of it, the interpreter serves.
TEST_F(TracedKernels, CanFail) {
  setenv("CHAINRULE_TEST_CXX", "false", 1);
  const WrittenProgram written = nothing_but_a_copy();
  const update::TracedProgram program = written.view();
  const int before = compiled();
  Rows there(program, Dtype::float32, kCuda);
  const std::vector<double> gradient = values_of(to_device(there.arrays[1], {}));
  there.update();
  there.update();
  unsetenv("CHAINRULE_TEST_CXX");
  EXPECT_EQ(values_of(to_device(there.arrays[0], {})), gradient);
  EXPECT_NE(cuda::rule_compiler().problem.find("the host's compiler failed"), std::string::npos)
      << cuda::rule_compiler().problem;
  EXPECT_EQ(compiled() - before, 2);  // tried once, with and without statistics
}

}  // namespace
}  // namespace chainrule::testing
