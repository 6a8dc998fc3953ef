/* The transaction of a sink's session: who sends to whom, and where the content goes. */

#ifndef HOPSEAL_CMD_SINK_MAIL_H
#define HOPSEAL_CMD_SINK_MAIL_H

#include "base/buf.h"
#include "cmd/maildir.h"

struct cmd_sink_mail {
	struct buf sender, recipients; /* recipients: a line each */
	uint64_t n_octets;
	bool has_content;
	bool is_kept;
	bool is_requiretls;                  /* the sender asked for it */
	struct cmd_maildir_message *message; /* NULL: none is written */
	struct error trouble;                /* why it cannot be kept */
};

/* What the trace lines say about the session: RFC 5321 section 4.4. */
struct cmd_sink_trace {
	struct str peer, helo, hostname;
	struct str protocol; /* "ESMTPS" */
};

void cmd_sink_mail_init(struct cmd_sink_mail *m);
void cmd_sink_mail_fini(struct cmd_sink_mail *m);
void cmd_sink_mail_reset(struct cmd_sink_mail *m); /* what was not kept is gone */

void cmd_sink_mail_from(struct cmd_sink_mail *m, struct str sender); /* a new transaction */
/* Addresses past a bound are taken but not shown. */
void cmd_sink_mail_rcpt(struct cmd_sink_mail *m, struct str address);
struct str cmd_sink_mail_rcpt_at(const struct cmd_sink_mail *m, size_t index); /* "": none */

/* `to` may be NULL: the content is counted only. */
void cmd_sink_mail_begin(struct cmd_sink_mail *m, struct cmd_maildir *to,
			 const struct cmd_sink_trace *trace);
void cmd_sink_mail_content(struct cmd_sink_mail *m, struct str octets);
/* False: m->trouble says why. True again when it is kept already. */
MUST_USE bool cmd_sink_mail_keep(struct cmd_sink_mail *m);

#endif
