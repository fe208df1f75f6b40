/* A libnvidia-ml.so.1 without a GPU, for tests. Every call reads the text file named by $FAKE_NVML_STATE anew, so a test
 * changes the machine by replacing that file. Lines: "gpus N", "hang" (calls never return), "init CODE" (answer of
 * nvmlInit), "gpu I error CODE", "gpu I KEY VALUE". Built without nvmlDeviceGetRemappedRows when OLD_DRIVER is defined.
 * Signatures as in NVIDIA's NVML API reference, https://docs.nvidia.com/deploy/nvml-api/ .
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int answer;
typedef struct gpu *device;
struct gpu { unsigned index; };
struct utilization { unsigned gpu, memory; };
struct memory { unsigned long long total, free, used; };
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_LOADED = 9, LINKS = 18, MOST_GPUS = 16 };

static struct gpu gpus[MOST_GPUS];

/* The value behind "NAME " at the start of a line of the state; fallback where no line has it. */
static long long state(const char *name, long long fallback) {
    char line[256];
    size_t length = strlen(name);
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return fallback;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, length) && (line[length] == ' ' || line[length] == '\n')) {
            fallback = line[length] == ' ' ? strtoll(line + length + 1, NULL, 0) : 1;
            break;
        }
    fclose(file);
    return fallback;
}

static long long of(device gpu, const char *key, long long fallback) {
    char name[64];
    snprintf(name, sizeof name, "gpu %u %s", gpu->index, key);
    return state(name, fallback);
}

static void hang_if_told(void) { while (state("hang", 0)) usleep(10000); }

static answer reach(device gpu) { hang_if_told(); return (answer)of(gpu, "error", SUCCESS); }

#define REACH(gpu) do { answer reached = reach(gpu); if (reached) return reached; } while (0)

answer nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (!getenv("FAKE_NVML_STATE")) return NOT_LOADED;
    for (unsigned index = 0; index < MOST_GPUS; index++) gpus[index].index = index;
    return (answer)state("init", SUCCESS);
}
answer nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
answer nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(answer code) {
    return code == 15 ? "GPU is lost" : code == 999 ? "Unknown Error" : code == 18 ? "Driver/library version mismatch" : "Error";
}
answer nvmlDeviceGetCount_v2(unsigned *count) { hang_if_told(); *count = (unsigned)state("gpus", 0); return SUCCESS; }
answer nvmlDeviceGetHandleByIndex_v2(unsigned index, device *gpu) {
    if (index >= MOST_GPUS) return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return reach(*gpu);
}
answer nvmlDeviceGetUUID(device gpu, char *text, unsigned size) {
    REACH(gpu);
    snprintf(text, size, "GPU-%08lld-0000-0000-0000-000000000000", of(gpu, "id", gpu->index));
    return SUCCESS;
}
answer nvmlDeviceGetName(device gpu, char *text, unsigned size) { REACH(gpu); snprintf(text, size, "NVIDIA H100 80GB HBM3"); return SUCCESS; }
answer nvmlDeviceGetSerial(device gpu, char *text, unsigned size) { REACH(gpu); snprintf(text, size, "165%07u", gpu->index); return SUCCESS; }
answer nvmlDeviceGetPciInfo_v3(device gpu, struct pci *pci) {
    REACH(gpu);
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", 0x3b + gpu->index);
    return SUCCESS;
}
answer nvmlDeviceGetTemperature(device gpu, int sensor, unsigned *celsius) { (void)sensor; REACH(gpu); *celsius = (unsigned)of(gpu, "temperature", 40); return SUCCESS; }
answer nvmlDeviceGetPowerUsage(device gpu, unsigned *milliwatts) { REACH(gpu); *milliwatts = (unsigned)of(gpu, "milliwatts", 350500); return SUCCESS; }
answer nvmlDeviceGetMemoryInfo(device gpu, struct memory *memory) {
    REACH(gpu);
    memory->total = 80ULL << 30;
    memory->used = 60ULL << 30;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}
answer nvmlDeviceGetUtilizationRates(device gpu, struct utilization *rates) { REACH(gpu); rates->gpu = 97; rates->memory = 50; return SUCCESS; }
answer nvmlDeviceGetClockInfo(device gpu, int clock, unsigned *mhz) { REACH(gpu); *mhz = clock == 1 ? 1980 : 0; return SUCCESS; }
answer nvmlDeviceGetTotalEccErrors(device gpu, int kind, int counter, unsigned long long *count) {
    REACH(gpu);
    *count = (unsigned long long)of(gpu, kind ? (counter ? "ecc_aggregate" : "ecc_uncorrected") : "ecc_corrected", 0);
    return SUCCESS;
}
#ifndef OLD_DRIVER
answer nvmlDeviceGetRemappedRows(device gpu, unsigned *correctable, unsigned *uncorrectable, unsigned *pending, unsigned *failed) {
    REACH(gpu);
    *correctable = (unsigned)of(gpu, "remapped_correctable", 0);
    *uncorrectable = (unsigned)of(gpu, "remapped_uncorrectable", 0);
    *pending = (unsigned)of(gpu, "remap_pending", 0);
    *failed = (unsigned)of(gpu, "remap_failed", 0);
    return SUCCESS;
}
answer nvmlDeviceGetCurrentClocksEventReasons(device gpu, unsigned long long *bits) { REACH(gpu); *bits = (unsigned long long)of(gpu, "throttle", 0); return SUCCESS; }
#endif
answer nvmlDeviceGetCurrentClocksThrottleReasons(device gpu, unsigned long long *bits) { REACH(gpu); *bits = (unsigned long long)of(gpu, "throttle", 0); return SUCCESS; }
answer nvmlDeviceGetNvLinkState(device gpu, unsigned link, int *is_active) {
    REACH(gpu);
    if (link >= LINKS) return INVALID_ARGUMENT;
    *is_active = link >= (unsigned)of(gpu, "links_down", 0);
    return SUCCESS;
}
answer nvmlDeviceGetNvLinkErrorCounter(device gpu, unsigned link, int counter, unsigned long long *count) {
    REACH(gpu);
    if (link >= LINKS) return INVALID_ARGUMENT;
    *count = counter == 0 ? (unsigned long long)of(gpu, "link_errors", 0) : 0;
    return SUCCESS;
}
