/* What an operator's command asks of the daemon, over the control socket: one flat JSON object a
 * line, such as {"request":"hold","destination":"smtp:example.com"}. Replies are lines of JSON,
 * too, and the last one of a request has the member "done". docs/reference/control.md. No I/O. */

#ifndef HOPSEAL_PROTO_CONTROL_H
#define HOPSEAL_PROTO_CONTROL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

enum control_take {
	CONTROL_TAKE_OK,
	CONTROL_TAKE_MORE, /* no whole line yet */
	CONTROL_TAKE_BAD,  /* longer than CONTROL_LINE_MAX: hang up */
};

/* Takes one line off the front of `in`. OK: *used > 0 octets are consumed, and *line is the line
 * without its LF. MORE, BAD: nothing is consumed. */
MUST_USE enum control_take control_take(struct str in, struct str *line, size_t *used);

enum control_kind {
	CONTROL_STATUS,
	CONTROL_DESTINATIONS, /* those that are in memory */
	/* What is on disk. */
	CONTROL_SUMMARY, /* by destination */
	CONTROL_LIST,
	CONTROL_SHOW,
	CONTROL_CAT, /* the message itself: not for the group */
	CONTROL_RELOAD,
	CONTROL_STOP,
	/* What is done to recipients. */
	CONTROL_HOLD,
	CONTROL_RELEASE,
	CONTROL_RETRY,
	CONTROL_DELETE,
	CONTROL_REQUEUE,
	CONTROL_FLUSH, /* as RETRY, and destinations that are left alone are tried at once */
};

enum control_reach {
	CONTROL_NOTHING, /* of the requests that are about the daemon, and of LIST */
	CONTROL_ALL,
	CONTROL_OF_DESTINATION,
	CONTROL_OF_MESSAGE,
	CONTROL_OF_RECIPIENT,
};

enum control_state { CONTROL_QUEUED = 1, CONTROL_HELD = 2, CONTROL_FINISHED = 4 };

/* Of LIST: all that is said must be so. */
struct control_filter {
	bool has_destination, has_sender;
	struct str destination, sender;
	struct str message;         /* a queue id, not looked at here; "": any */
	struct str reason;          /* part of it; "": any */
	unsigned states;            /* control_state, or'ed; 0: any */
	uint64_t arrived_before_ms; /* since 1970; 0: any */
};

struct control_request {
	enum control_kind kind;
	enum control_reach reach;
	struct str destination; /* OF_DESTINATION */
	struct str message;     /* OF_MESSAGE, OF_RECIPIENT: a queue id, not looked at here */
	struct str recipient;   /* OF_RECIPIENT: an address, not empty */
	struct control_filter filter;
};

MUST_USE bool control_state_parse(struct str name, enum control_state *out);

struct str control_kind_name(enum control_kind k); /* "hold" */
MUST_USE bool control_kind_parse(struct str name, enum control_kind *out);
bool control_is_change(enum control_kind k);  /* HOLD and those below it */
bool control_is_reading(enum control_kind k); /* SUMMARY to CAT */

/* What a line means; texts go into the arena. False: it is not JSON, or no request (ERROR_DATA). */
MUST_USE bool control_request_parse(struct arena *a, struct str line, struct control_request *out,
				    struct error *e);

/* Appends a whole line. False: it would be longer than CONTROL_LINE_MAX, or there is no room. */
MUST_USE bool control_request_add(struct buf *out, const struct control_request *r);

#endif
