/* Mailboxes: RFC 5321 section 4.1.2. */

#ifndef HOPSEAL_MAIL_MAILBOX_H
#define HOPSEAL_MAIL_MAILBOX_H

#include "base/arena.h"

/* Split at the last "@" outside quotes; spans point into the text. */
struct mailbox {
	struct str local;  /* as written, quotes included */
	struct str domain; /* "" when there is none */
};

/* Takes the text without angle brackets; "" is the null reverse-path: both parts empty. False on an
 * empty local part, an empty domain after "@", control octets, open quotes; on blanks, "<" and
 * ">" outside quotes, which would end the path in a command; on a text over SMTP_PATH_MAX or domain
 * over DOMAIN_NAME_MAX octets. A local part over 64 is fine: RFC 5321 section 4.5.3.1 says what all
 * must take, and longer ones are in use. */
MUST_USE bool mailbox_parse(struct str text, struct mailbox *out);

/* A local part as it is meant: without the quotes and backslashes of a Quoted-string. */
struct str mailbox_dequote(struct arena *a, struct str local);

/* Without its extension; false when it has none. recipient_delimiter in postconf(5): any of its
 * octets delimits, but not in front, and some names are never taken apart. */
bool mailbox_strip_extension(struct str local, struct str delimiters, struct str *base);

#endif
