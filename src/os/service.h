/* What a service manager wants to hear: sd_notify(3), and systemd.service(5) for WatchdogSec. */

#ifndef HOPSEAL_OS_SERVICE_H
#define HOPSEAL_OS_SERVICE_H

#include "base/str.h"

/* "READY=1", "STOPPING=1", "WATCHDOG=1" ... Nothing happens when no manager listens. */
void os_service_tell(struct str state);

/* How often it must hear WATCHDOG=1; 0: never. */
uint64_t os_service_watchdog_ms(void);

#endif
