/* Parser for SMTP command lines: RFC 5321 section 4.1, with the parameters of RFC 1870,
 * 3461, 4954, 6152, 6531 and 8689, and BDAT of RFC 3030. No I/O, no allocation: every span points
 * into the line. */

#ifndef HOPSEAL_PROTO_SMTP_COMMAND_H
#define HOPSEAL_PROTO_SMTP_COMMAND_H

#include "base/limits.h"
#include "base/str.h"

enum smtp_verb {
	SMTP_VERB_UNKNOWN,
	SMTP_VERB_HELO,
	SMTP_VERB_EHLO,
	SMTP_VERB_LHLO,
	SMTP_VERB_MAIL,
	SMTP_VERB_RCPT,
	SMTP_VERB_DATA,
	SMTP_VERB_RSET,
	SMTP_VERB_NOOP,
	SMTP_VERB_VRFY,
	SMTP_VERB_EXPN,
	SMTP_VERB_HELP,
	SMTP_VERB_QUIT,
	SMTP_VERB_STARTTLS,
	SMTP_VERB_AUTH,
	SMTP_VERB_BDAT,
};

struct smtp_command {
	enum smtp_verb verb;
	struct str argument; /* without blanks at its ends */
};

/* `line` has no line end. */
struct smtp_command smtp_command_parse(struct str line);

enum smtp_body { SMTP_BODY_UNSAID, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

/* MAIL FROM:<path> with its parameters. */
struct smtp_command_mail {
	struct str
		sender; /* without angle brackets and source route; "" is the null reverse-path */
	uint64_t size_octets; /* SIZE=, 0: not said */
	enum smtp_body body;
	bool is_smtputf8;
	bool is_requiretls;
	struct str ret;   /* "FULL" or "HDRS" as written, "" for none */
	struct str envid; /* xtext as written, "" for none */
	struct str auth;  /* xtext as written, "" for none; nothing follows from it */
};

/* RCPT TO:<path> with its parameters. */
struct smtp_command_rcpt {
	struct str address; /* without angle brackets and source route */
	struct str notify;  /* as written, "" for none */
	struct str orcpt;   /* "type;xtext" as written, "" for none */
};

/* BDAT size [LAST]. */
struct smtp_command_bdat {
	uint64_t size_octets;
	bool is_last;
};

/* False: how many octets follow cannot be known. */
MUST_USE bool smtp_command_parse_bdat(struct str argument, struct smtp_command_bdat *out);

enum smtp_command_fault {
	SMTP_COMMAND_OK,
	SMTP_COMMAND_NO_FROM,       /* not "FROM:" or "TO:" */
	SMTP_COMMAND_BAD_PATH,      /* RFC 5321 section 4.1.2 */
	SMTP_COMMAND_NO_DOMAIN,     /* a local part alone: no path, but many programs send it */
	SMTP_COMMAND_PATH_TOO_LONG, /* RFC 5321 section 4.5.3.1.3 */
	SMTP_COMMAND_BAD_PARAMETER, /* known, but its value is not */
	SMTP_COMMAND_TWICE,         /* a parameter given again */
	SMTP_COMMAND_UNKNOWN_PARAMETER,
	SMTP_COMMAND_NEEDS_SMTPUTF8, /* octets above 127 in the path without the parameter */
};

/* `extensions` are the smtp_extension bits that were announced: a parameter of another
 * extension is unknown. *out is filled when OK or NO_DOMAIN. */
MUST_USE enum smtp_command_fault
smtp_command_parse_mail(struct str argument, unsigned extensions, struct smtp_command_mail *out);
/* `is_smtputf8`: what MAIL said. */
MUST_USE enum smtp_command_fault smtp_command_parse_rcpt(struct str argument, unsigned extensions,
							 bool is_smtputf8,
							 struct smtp_command_rcpt *out);

#endif
