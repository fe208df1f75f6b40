/* A libnvidia-ml.so.1 without a GPU, for tests. It is compiled against NVIDIA's own nvml.h, so that the compiler holds
 * every signature and struct to the real ones. Each call reads the text file named by $FAKE_NVML_STATE anew: a test changes
 * the machine by replacing that file. Lines, of which the first that fits counts:
 *
 *   gpus N                    how many GPUs are listed
 *   hang                      calls never return
 *   init CODE                 what nvmlInit answers
 *   gpu I error CODE          what every call about GPU I answers
 *   gpu I no_GROUP CODE       what the calls of one group answer: 3 is "not supported"
 *   gpu I KEY VALUE           a value
 *   gpu I field ID VALUE      a value of nvmlDeviceGetFieldValues, also that of link 0; all others are missing
 *   gpu I link L field ID VALUE   the same of another link
 *   gpu I link L down         a link that is not active
 *   gpu I process N PID       the Nth process, from 0
 *   xids N                    how many Xids there have been; "xid N gpu I" and "xid N code C" say which, from 0
 *
 * Built without what came after driver 450 when OLD_DRIVER is defined.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

enum { LINKS = 18, MOST_GPUS = 16 };

struct nvmlDevice_st { unsigned index; };
struct nvmlEventSet_st { long long next; };

static struct nvmlDevice_st gpus[MOST_GPUS];

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

static long long of(nvmlDevice_t gpu, const char *key, long long fallback) {
    char name[96];
    snprintf(name, sizeof name, "gpu %u %s", gpu->index, key);
    return state(name, fallback);
}

static long long of_number(nvmlDevice_t gpu, const char *format, unsigned number, long long fallback) {
    char key[64];
    snprintf(key, sizeof key, format, number);
    return of(gpu, key, fallback);
}

static void hang_if_told(void) { while (state("hang", 0)) usleep(10000); }

static nvmlReturn_t reach(nvmlDevice_t gpu, const char *group) {
    char key[64];
    hang_if_told();
    nvmlReturn_t answer = (nvmlReturn_t)of(gpu, "error", NVML_SUCCESS);
    if (answer != NVML_SUCCESS || !group) return answer;
    snprintf(key, sizeof key, "no_%s", group);
    return (nvmlReturn_t)of(gpu, key, NVML_SUCCESS);
}

#define REACH(gpu, group) do { nvmlReturn_t reached = reach(gpu, group); if (reached != NVML_SUCCESS) return reached; } while (0)

/* One unsigned value of a GPU: the function, its group, the key in the state and the value of a healthy machine. */
#define VALUE(function, group, key, healthy) \
    nvmlReturn_t function(nvmlDevice_t gpu, unsigned int *value) { REACH(gpu, group); *value = (unsigned)of(gpu, key, healthy); return NVML_SUCCESS; }

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    if (!getenv("FAKE_NVML_STATE")) return NVML_ERROR_DRIVER_NOT_LOADED;
    for (unsigned index = 0; index < MOST_GPUS; index++) gpus[index].index = index;
    return (nvmlReturn_t)state("init", NVML_SUCCESS);
}
nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t code) {
    switch (code) {
    case NVML_ERROR_GPU_IS_LOST: return "GPU is lost";
    case NVML_ERROR_RESET_REQUIRED: return "GPU requires restart";
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH: return "Driver/library version mismatch";
    case NVML_ERROR_UNKNOWN: return "Unknown Error";
    default: return "Error";
    }
}
nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) { snprintf(version, length, "580.95.05"); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) { hang_if_told(); *count = (unsigned)state("gpus", 0); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *gpu) {
    if (index >= MOST_GPUS) return NVML_ERROR_INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return reach(*gpu, "handle");
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t gpu, char *text, unsigned int size) {
    REACH(gpu, "uuid");
    snprintf(text, size, "GPU-%08lld-0000-0000-0000-000000000000", of(gpu, "id", gpu->index));
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t gpu, char *text, unsigned int size) { REACH(gpu, "name"); snprintf(text, size, "NVIDIA H100 80GB HBM3"); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t gpu, char *text, unsigned int size) { REACH(gpu, "serial"); snprintf(text, size, "165%07u", gpu->index); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t gpu, nvmlPciInfo_t *pci) {
    REACH(gpu, "pci");
    memset(pci, 0, sizeof *pci);
    snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", 0x3b + gpu->index);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t gpu, nvmlTemperatureSensors_t sensor, unsigned int *celsius) {
    REACH(gpu, "temperature");
    if (sensor != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
    *celsius = (unsigned)of(gpu, "temperature", 40);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t gpu, nvmlTemperatureThresholds_t which, unsigned int *celsius) {
    REACH(gpu, "thresholds");
    static const unsigned healthy[] = {[NVML_TEMPERATURE_THRESHOLD_SHUTDOWN] = 95, [NVML_TEMPERATURE_THRESHOLD_SLOWDOWN] = 90,
                                       [NVML_TEMPERATURE_THRESHOLD_MEM_MAX] = 95, [NVML_TEMPERATURE_THRESHOLD_GPU_MAX] = 87};
    if ((unsigned)which > NVML_TEMPERATURE_THRESHOLD_GPU_MAX) return NVML_ERROR_NOT_SUPPORTED;
    *celsius = healthy[which];
    return NVML_SUCCESS;
}
VALUE(nvmlDeviceGetPowerUsage, "power", "milliwatts", 350500)
VALUE(nvmlDeviceGetEnforcedPowerLimit, "power", "limit_milliwatts", 700000)
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *memory) {
    REACH(gpu, "memory");
    memory->total = 80ULL << 30;
    memory->used = 60ULL << 30;
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t gpu, nvmlUtilization_t *rates) { REACH(gpu, "utilization"); rates->gpu = 97; rates->memory = 50; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t gpu, nvmlClockType_t clock, unsigned int *mhz) { REACH(gpu, "clocks"); *mhz = clock == NVML_CLOCK_SM ? 1980 : 2619; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t gpu, nvmlClockType_t clock, unsigned int *mhz) { REACH(gpu, "clocks"); *mhz = clock == NVML_CLOCK_SM ? 1980 : 2619; return NVML_SUCCESS; }

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t gpu, nvmlEnableState_t *current, nvmlEnableState_t *pending) {
    REACH(gpu, "ecc");
    *current = *pending = of(gpu, "ecc_enabled", 1) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return NVML_SUCCESS;
}

/* "ecc_dram_uncorrected_aggregate" and the like; without a location the total. */
static unsigned long long errors(nvmlDevice_t gpu, const char *location, nvmlMemoryErrorType_t kind, nvmlEccCounterType_t life) {
    char key[64];
    snprintf(key, sizeof key, "ecc%s%s%s", location, kind == NVML_MEMORY_ERROR_TYPE_CORRECTED ? "_corrected" : "_uncorrected",
             life == NVML_AGGREGATE_ECC ? "_aggregate" : "");
    return (unsigned long long)of(gpu, key, 0);
}
nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t gpu, nvmlMemoryErrorType_t kind, nvmlEccCounterType_t life, unsigned long long *count) {
    REACH(gpu, "ecc");
    *count = errors(gpu, "", kind, life);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t gpu, nvmlMemoryErrorType_t kind, nvmlEccCounterType_t life,
                                             nvmlMemoryLocation_t location, unsigned long long *count) {
    REACH(gpu, "ecc_locations");
    if (location != NVML_MEMORY_LOCATION_DRAM && location != NVML_MEMORY_LOCATION_SRAM) return NVML_ERROR_NOT_SUPPORTED;
    *count = errors(gpu, location == NVML_MEMORY_LOCATION_DRAM ? "_dram" : "_sram", kind, life);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t gpu, nvmlPageRetirementCause_t cause, unsigned int *count, unsigned long long *addresses) {
    REACH(gpu, "retired_pages");
    unsigned held = (unsigned)of(gpu, cause == NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR ? "retired_dbe" : "retired_sbe", 0);
    if (*count < held) { *count = held; return NVML_ERROR_INSUFFICIENT_SIZE; }
    for (unsigned page = 0; page < held && addresses; page++) addresses[page] = 0x1000ULL * (page + 1);
    *count = held;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t gpu, nvmlEnableState_t *is_pending) {
    REACH(gpu, "retired_pages");
    *is_pending = of(gpu, "retired_pending", 0) ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return NVML_SUCCESS;
}
VALUE(nvmlDeviceGetCurrPcieLinkGeneration, "pcie", "pcie_generation", 5)
VALUE(nvmlDeviceGetMaxPcieLinkGeneration, "pcie", "pcie_generation_max", 5)
VALUE(nvmlDeviceGetCurrPcieLinkWidth, "pcie", "pcie_width", 16)
VALUE(nvmlDeviceGetMaxPcieLinkWidth, "pcie", "pcie_width_max", 16)
VALUE(nvmlDeviceGetPcieReplayCounter, "pcie", "pcie_replays", 0)

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t gpu, nvmlEnableState_t *mode) { REACH(gpu, "modes"); *mode = NVML_FEATURE_ENABLED; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t gpu, nvmlComputeMode_t *mode) { REACH(gpu, "modes"); *mode = NVML_COMPUTEMODE_DEFAULT; return NVML_SUCCESS; }

static nvmlReturn_t throttle(nvmlDevice_t gpu, unsigned long long *bits) { REACH(gpu, "throttle"); *bits = (unsigned long long)of(gpu, "throttle", 0); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t gpu, unsigned long long *bits) { return throttle(gpu, bits); }
nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t gpu, unsigned int link, nvmlEnableState_t *state_of_link) {
    REACH(gpu, "nvlink");
    if (link >= LINKS) return NVML_ERROR_INVALID_ARGUMENT;
    *state_of_link = of_number(gpu, "link %u down", link, 0) ? NVML_FEATURE_DISABLED : NVML_FEATURE_ENABLED;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t gpu, unsigned int link, nvmlNvLinkErrorCounter_t counter, unsigned long long *count) {
    REACH(gpu, "nvlink");
    if (link >= LINKS) return NVML_ERROR_INVALID_ARGUMENT;
    *count = counter == NVML_NVLINK_ERROR_DL_REPLAY ? (unsigned long long)of(gpu, "link_replays", 0) : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    *set = calloc(1, sizeof **set);
    if (!*set) return NVML_ERROR_MEMORY;
    (*set)->next = state("xids", 0);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) { free(set); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t gpu, unsigned long long kinds, nvmlEventSet_t set) {
    REACH(gpu, "events");
    return set && kinds == nvmlEventTypeXidCriticalError ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *event, unsigned int milliseconds) {
    char name[64];
    (void)milliseconds;
    if (set->next >= state("xids", 0)) return NVML_ERROR_TIMEOUT;
    memset(event, 0, sizeof *event);
    snprintf(name, sizeof name, "xid %lld gpu", set->next);
    event->device = &gpus[state(name, 0)];
    snprintf(name, sizeof name, "xid %lld code", set->next++);
    event->eventData = (unsigned long long)state(name, 0);
    event->eventType = nvmlEventTypeXidCriticalError;
    event->gpuInstanceId = event->computeInstanceId = 0xffffffff;
    return NVML_SUCCESS;
}

#ifndef OLD_DRIVER
nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t gpu, unsigned int *correctable, unsigned int *uncorrectable, unsigned int *pending, unsigned int *failed) {
    REACH(gpu, "remap");
    *correctable = (unsigned)of(gpu, "remapped_correctable", 0);
    *uncorrectable = (unsigned)of(gpu, "remapped_uncorrectable", 0);
    *pending = (unsigned)of(gpu, "remap_pending", 0);
    *failed = (unsigned)of(gpu, "remap_failed", 0);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t gpu, nvmlRowRemapperHistogramValues_t *banks) {
    REACH(gpu, "remap");
    memset(banks, 0, sizeof *banks);
    banks->none = (unsigned)of(gpu, "banks_none", 0);
    banks->max = 640 - banks->none;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t gpu, nvmlEccSramErrorStatus_t *status) {
    REACH(gpu, "sram");
    if (status->version != nvmlEccSramErrorStatus_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    status->volatileUncParity = (unsigned long long)of(gpu, "sram_parity", 0);
    status->volatileUncSecDed = (unsigned long long)of(gpu, "sram_secded", 0);
    status->aggregateUncParity = (unsigned long long)of(gpu, "sram_parity_aggregate", 0);
    status->aggregateUncSecDed = (unsigned long long)of(gpu, "sram_secded_aggregate", 0);
    status->aggregateCor = status->volatileCor = 0;
    status->aggregateUncBucketL2 = (unsigned long long)of(gpu, "sram_l2", 0);
    status->aggregateUncBucketSm = (unsigned long long)of(gpu, "sram_sm", 0);
    status->aggregateUncBucketPcie = (unsigned long long)of(gpu, "sram_pcie", 0);
    status->aggregateUncBucketMcu = (unsigned long long)of(gpu, "sram_mcu", 0);
    status->aggregateUncBucketOther = (unsigned long long)of(gpu, "sram_other", 0);
    status->bThresholdExceeded = (unsigned)of(gpu, "sram_threshold", 0);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t gpu, unsigned long long *bits) { return throttle(gpu, bits); }
nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t gpu, nvmlMarginTemperature_t *margin) {
    REACH(gpu, "margin");
    if (margin->version != nvmlMarginTemperature_v1) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    margin->marginTemperature = (int)of(gpu, "margin", 47);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t gpu, nvmlGpuFabricInfoV_t *info) {
    REACH(gpu, "fabric");
    nvmlGpuFabricInfo_v2_t *held = (nvmlGpuFabricInfo_v2_t *)info;
    if (held->version != nvmlGpuFabricInfo_v2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memset(held->clusterUuid, 0, sizeof held->clusterUuid);
    held->status = (nvmlReturn_t)of(gpu, "fabric_status", NVML_SUCCESS);
    held->cliqueId = (unsigned)of(gpu, "fabric_clique", 0);
    held->state = (nvmlGpuFabricState_t)of(gpu, "fabric_state", NVML_GPU_FABRIC_STATE_COMPLETED);
    held->healthMask = (unsigned)of(gpu, "fabric_health", 0);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t gpu, unsigned int *current, unsigned int *pending) { REACH(gpu, "mig"); *current = *pending = NVML_DEVICE_MIG_DISABLE; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count, nvmlProcessInfo_t *processes) {
    REACH(gpu, "processes");
    unsigned room = *count, held = 0;
    while (of_number(gpu, "process %u", held, 0)) held++;
    *count = held;
    if (room < held) return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned each = 0; each < held; each++) {
        memset(&processes[each], 0, sizeof processes[each]);
        processes[each].pid = (unsigned)of_number(gpu, "process %u", each, 0);
    }
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t gpu, int count, nvmlFieldValue_t *values) {
    REACH(gpu, "fields");
    for (int each = 0; each < count; each++) {
        char key[64];
        const long long missing = -1000;
        long long value;
        unsigned field = values[each].fieldId, link = values[each].scopeId;
        snprintf(key, sizeof key, link ? "link %2$u field %1$u" : "field %1$u", field, link);
        value = of(gpu, key, missing);
        values[each].nvmlReturn = value == missing ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
        values[each].valueType = value < 0 ? NVML_VALUE_TYPE_SIGNED_INT : NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
        if (value < 0) values[each].value.siVal = (int)value;
        else values[each].value.ullVal = (unsigned long long)value;
    }
    return NVML_SUCCESS;
}
#endif
