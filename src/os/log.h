/* Where the log goes: the system's log, a file or a terminal; one line for each event.
 * Any thread. */

#ifndef HOPSEAL_OS_LOG_H
#define HOPSEAL_OS_LOG_H

#include "base/error.h"
#include "log/log.h"

struct os_log;

enum os_log_form { OS_LOG_TEXT, OS_LOG_JSON };

struct os_log_options {
	struct str path;     /* maillog_file; "": the system's log, /dev/log */
	struct str name;     /* syslog_name: lines of text begin "name/program[pid]: " */
	struct str facility; /* syslog_facility, "mail" */
	enum os_log_form form;
};

/* NULL: a file that cannot be opened, a facility that is none. A system log that is not there yet
 * is no error: it is tried again with each line. */
MUST_USE struct os_log *os_log_new(const struct os_log_options *o, struct error *e);
void os_log_free(struct os_log *l); /* NULL is fine */

/* After a file was renamed. False: the old one is written on. */
MUST_USE bool os_log_reopen(struct os_log *l, struct error *e);

void os_log_event(struct os_log *l, const struct log_event *e);
/* Lines that could not be written so far: no space, nobody who reads. */
uint64_t os_log_lost(const struct os_log *l);

#endif
