/* Where the lines of the log go: a file, a standard stream, the system's log. Any thread.
 *
 * A file takes each line at once. Whoever reads a pipe, a terminal or a socket may be slow or
 * asleep, and no worker waits for that: such lines are written by a thread of their own, up to
 * LOG_WAITING_MAX octets of them wait, and what comes beyond is lost and counted. */

#ifndef HOPSEAL_OS_LOG_OUT_H
#define HOPSEAL_OS_LOG_OUT_H

#include "base/error.h"
#include "base/str.h"

struct os_log_out;

/* What a line needs in front of its text. */
enum os_log_shape {
	OS_LOG_OF_FILE,    /* time and machine */
	OS_LOG_OF_SYSTEM,  /* "<priority>" and the time: RFC 3164 section 4.1 */
	OS_LOG_OF_JOURNAL, /* "<severity>" alone: a stream that systemd-journald reads */
};

struct os_log_out_options {
	struct str path;   /* "": the system's log; /dev/stdout and /dev/stderr are ours */
	struct str system; /* the socket of the system's log; "" for /dev/log */
	unsigned mode;     /* of a file that is made; 0 for 0600 */
};

/* NULL: the file cannot be opened. The system's log may come later. */
MUST_USE struct os_log_out *os_log_out_new(const struct os_log_out_options *o, struct error *e);
/* Lines that wait get two seconds to be taken. NULL is fine. */
void os_log_out_free(struct os_log_out *l);

enum os_log_shape os_log_out_shape(const struct os_log_out *l);
/* A line with its LF. False: it is not taken, and not counted. */
bool os_log_out_write(struct os_log_out *l, struct str line);
/* False: the old file is written on. */
MUST_USE bool os_log_out_reopen(struct os_log_out *l, struct error *e);
/* To another file, as os_log_move says. */
MUST_USE bool
os_log_out_move(struct os_log_out *l, struct str path, unsigned mode, struct error *e);
/* The file is the user's from now on, so that it can be opened again without root's rights. False:
 * the path is a link, or the file has other names, and would give away somebody else's. */
MUST_USE bool os_log_out_give(struct os_log_out *l, unsigned uid, unsigned gid, struct error *e);
/* One more line is lost. */
void os_log_out_lose(struct os_log_out *l);
/* Lines that were lost since the last call; and so many of them that nobody could be told. */
uint64_t os_log_out_lost(struct os_log_out *l);
void os_log_out_untold(struct os_log_out *l, uint64_t n);
uint64_t os_log_out_lost_ever(const struct os_log_out *l); /* since the start */
/* Waits until lines that wait are out, two seconds at most. */
void os_log_out_flush(struct os_log_out *l);

#endif
