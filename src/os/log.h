/* Where the log goes: the system's log, a file or a terminal; one line for each event.
 * Any thread. */

#ifndef HOPSEAL_OS_LOG_H
#define HOPSEAL_OS_LOG_H

#include "base/error.h"
#include "log/log.h"

struct os_log;

enum os_log_form { OS_LOG_TEXT, OS_LOG_JSON };

struct os_log_options {
	struct str path;     /* maillog_file; "": the system's log */
	struct str name;     /* syslog_name: lines of text begin "name/program[pid]: " */
	struct str facility; /* syslog_facility, "mail" */
	struct str system;   /* the socket of the system's log; "" for /dev/log */
	unsigned mode;       /* of a file that is made; 0 for 0600 */
	enum os_log_form form;
};

MUST_USE bool os_log_has_facility(struct str name); /* it is one: "mail", "local0" ... */

/* NULL: a file that cannot be opened, a facility that is none. A system log that is not there yet
 * is no error: it is tried again with each line. */
MUST_USE struct os_log *os_log_new(const struct os_log_options *o, struct error *e);
void os_log_free(struct os_log *l); /* NULL is fine */

/* After a file was renamed. False: the old one is written on. */
MUST_USE bool os_log_reopen(struct os_log *l, struct error *e);

/* To another file, which is made with that mode. Nothing is done when the path is the same. False:
 * it cannot be opened, or one of the two is no file: it goes on as it was. One thread, that of
 * os_log_reopen. */
MUST_USE bool os_log_move(struct os_log *l, struct str path, unsigned mode, struct error *e);

/* Before root becomes that user: the file is the user's from now on, so that it can be opened
 * again. False: it is a link, or has other names. */
MUST_USE bool os_log_give(struct os_log *l, unsigned uid, unsigned gid, struct error *e);

/* What cannot be written (no space, nobody who reads) is lost, and told with the next event. Only
 * a file is waited for. */
void os_log_event(struct os_log *l, const struct log_event *e);
/* Lines that were lost since the start. Any thread. */
uint64_t os_log_lost(const struct os_log *l);

/* Waits until what was logged is out, two seconds at most: before the process ends at once. */
void os_log_flush(struct os_log *l);

#endif
