// Stands for a cuBLAS of the time before sizes of 64 bits.
#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int cublasGetProperty(int which, int* value) {
  const int version[] = {11, 8, 0};
  *value = version[which];
  return 0;
}
EXPORT const char* cublasGetStatusString(int) { return ""; }
EXPORT int cublasCreate_v2(void**) { return 0; }
EXPORT int cublasDestroy_v2(void*) { return 0; }
EXPORT int cublasSetStream_v2(void*, void*) { return 0; }
EXPORT int cublasSetMathMode(void*, int) { return 0; }
