/* What `hopseal sink` does instead of the usual: a list of rules, one for a stage of a session.
 * Pure but for the counting of how often a stage was reached.
 *
 *	[tls:|clear:]STAGE[@N[+]][/TEXT]=[delay TIME ]DEED
 *
 * The first rule that fits decides; without one the sink accepts. docs: `hopseal sink --help`. */

#ifndef HOPSEAL_CMD_SINK_SCRIPT_H
#define HOPSEAL_CMD_SINK_SCRIPT_H

#include "base/error.h"
#include "mail/outcome.h"

enum cmd_sink_stage {
	SINK_GREET,
	SINK_EHLO, /* and LHLO */
	SINK_HELO,
	SINK_STARTTLS,
	SINK_HANDSHAKE, /* 220 was said, or the session begins with TLS */
	SINK_TLS,       /* the handshake is complete */
	SINK_MAIL,
	SINK_RCPT,
	SINK_DATA,
	SINK_CONTENT, /* the first octets of a message */
	SINK_MESSAGE, /* all of it; in LMTP for each recipient */
	SINK_RSET,
	SINK_NOOP,
	SINK_VRFY,
	SINK_QUIT,
	SINK_STAGES
};

enum cmd_sink_deed {
	SINK_ACCEPT,
	SINK_REPLY,   /* code, status, text */
	SINK_RAW,     /* text is octets, however wrong; code is what they amount to */
	SINK_DROP,    /* closes the connection */
	SINK_RESET,   /* breaks it */
	SINK_SILENCE, /* says nothing until the peer leaves */
	SINK_STRIP,   /* EHLO: announces XXXXXXXA in the place of STARTTLS, to everybody */
};

struct cmd_sink_rule {
	enum cmd_sink_stage stage;
	bool only_tls, only_clear;
	uint64_t first, last; /* which times, counted over all sessions from 1 */
	struct str match;     /* in the argument: an address, a name; "" fits all */
	uint64_t delay_ms;
	enum cmd_sink_deed deed;
	int code;
	struct status status;
	struct str text; /* lives in the script */
};

struct cmd_sink_script;

MUST_USE struct cmd_sink_script *cmd_sink_script_new(void);
void cmd_sink_script_free(struct cmd_sink_script *s);

/* One rule; or a whole text, a rule a line, blank lines and "# ..." left out. False with *e, which
 * names the line of a text. */
MUST_USE bool cmd_sink_script_add(struct cmd_sink_script *s, struct str rule, struct error *e);
MUST_USE bool
cmd_sink_script_add_lines(struct cmd_sink_script *s, struct str text, struct error *e);

/* Counts that the stage is reached and gives what is to be done; never NULL. */
const struct cmd_sink_rule *cmd_sink_script_find(struct cmd_sink_script *s,
						 enum cmd_sink_stage stage, bool is_tls,
						 struct str argument);
bool cmd_sink_script_strips(const struct cmd_sink_script *s);

struct str cmd_sink_stage_name(enum cmd_sink_stage stage);

#endif
