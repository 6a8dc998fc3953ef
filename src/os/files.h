/* Descriptors: how many the process may have, and who gets them. Connections and files of messages
 * share what is left beside a number that is kept back, so that no crowd of clients can take what
 * the store, the control socket, tables and name servers need. */

#ifndef HOPSEAL_OS_FILES_H
#define HOPSEAL_OS_FILES_H

#include "base/base.h"

uint64_t os_files_limit(void); /* that counts now; UINT64_MAX: none */
uint64_t os_files_open(void);  /* that are open now; 0: the system does not say */

struct os_files_wish {
	uint64_t limit, open; /* open: before the first connection */
	unsigned workers;
	uint64_t inbound, outbound; /* connections that the configuration allows */
};

/* Connections that can be had. Each side gets what it wants or half of the room, and what the other
 * does not want on top. */
struct os_files_plan {
	uint64_t kept_back, inbound, outbound; /* never 0 */
	bool fits;                             /* all that was wished for */
};

struct os_files_plan os_files_plan(const struct os_files_wish *w);

/* From now on the last `n` descriptors below the limit are not for connections and messages. */
void os_files_keep_back(uint64_t limit, uint64_t n);
/* True when that descriptor is one of them: descriptors are given out from below, so there are at
 * least as many others. Any thread. */
bool os_files_is_kept_back(int fd);
/* Now there is none for a connection or a message. */
bool os_files_are_short(void);

#endif
