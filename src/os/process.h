/* What the process uses. */

#ifndef HOPSEAL_OS_PROCESS_H
#define HOPSEAL_OS_PROCESS_H

#include "base/base.h"

/* For base_set_last_words: tells people, on standard error. What the system refused ends the
 * process with EX_OSERR, a bug leaves a core. */
base_last_words os_process_last_words;

/* From now on an abort() of a library has a word on standard error, too. */
void os_process_tell_aborts(void);

struct os_process {
	uint64_t resident_octets, virtual_octets; /* 0: the system does not say */
	uint64_t heap_octets;                     /* that are handed out */
	uint64_t cpu_ms;                          /* user and system together */
};

struct os_process os_process(void);

/* Gives memory back to the system when much of it is free: sessions that were there by the
 * thousand leave it behind. Threads that allocate wait for some milliseconds. */
void os_process_trim(void);

#endif
