/* The parts of hopseal sendmail: its options, the message as it is to be handed over, and the two
 * ways to hand it over: to the daemon, or into the queue while there is no daemon. */

#ifndef HOPSEAL_CMD_SENDMAIL_H
#define HOPSEAL_CMD_SENDMAIL_H

#include "cmd/cmd.h"
#include "cmd/message.h"

struct sendmail_options {
	struct cmd_sources sources;
	const char *sender, *full_name; /* NULL: the user's own */
	struct str notify, ret, envid;  /* DSN; "" for none */
	bool takes_header, ignores_dots, is_verbose;
	char *const *args; /* lists of recipients */
	size_t n_args;
};

/* 0: go on; -1: done; else the exit status. */
MUST_USE int sendmail_parse(struct sendmail_options *o, int argc, char **argv);

struct sendmail_mail {
	struct str sender;
	const struct str *rcpts; /* each once, with a domain */
	size_t n_rcpts;
	struct str notify, ret, envid;
	struct cmd_message message; /* begins with a trace field */
	size_t trace_n;             /* octets of that */
	bool is_smtputf8;
};

/* What the header section is completed with. */
struct sendmail_head {
	struct str trace; /* goes before it, with CRLF */
	struct str dropped, date, message_id, from;
};

struct sendmail_reading {
	int fd;
	uint64_t limit_octets; /* 0: none */
	bool ignores_dots;     /* else a line of a dot alone is the end */
	struct sendmail_head head;
};

/* Reads the message with LF or CRLF line ends. `section` gets its header section as it came, with
 * CRLF. The content has its trace field and all that was missing. */
MUST_USE bool sendmail_read(const struct sendmail_reading *r, struct buf *section,
			    struct cmd_message *out, struct error *e);

enum sendmail_end {
	SENDMAIL_TAKEN,    /* kept; *said is about it */
	SENDMAIL_NOBODY,   /* nobody is there to take it, or to be certain that it is us: *e */
	SENDMAIL_REFUSED,  /* *e */
	SENDMAIL_IN_PARTS, /* kept, but not for all: *e names one that was refused */
};

/* Speaks SMTP or LMTP with the daemon, at the listeners of the configuration. */
MUST_USE enum sendmail_end sendmail_submit(struct conf *conf, struct arena *a,
					   const struct sendmail_mail *m, struct str *said,
					   struct error *e);
/* Writes into the queue. NOBODY: somebody else has it. */
MUST_USE enum sendmail_end sendmail_queue(struct conf *conf, struct arena *a,
					  const struct sendmail_mail *m, struct str *said,
					  struct error *e);

/* The trace field; `id` may be "". */
struct str sendmail_trace(struct conf *conf, struct arena *a, struct str id);

#endif
