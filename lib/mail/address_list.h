/* The addresses of a header field: RFC 5322 section 3.4, its obsolete forms (section 4.4) and the
 * UTF-8 of RFC 6532. */

#ifndef HOPSEAL_MAIL_ADDRESS_LIST_H
#define HOPSEAL_MAIL_ADDRESS_LIST_H

#include "base/arena.h"

enum address_list {
	ADDRESS_LIST_ONE, /* *address is a mailbox, as mailbox_parse takes it */
	ADDRESS_LIST_END,
	ADDRESS_LIST_BAD, /* what stands there is no address; *rest is behind it */
};

/* Takes the next address off the front of *rest, which is a field's value with its line ends, or an
 * argument of a command. Display names, comments, names of groups and source routes are passed
 * over; *address is without blanks outside quotes. It lives in the arena. One without a domain is
 * fine. */
MUST_USE enum address_list
address_list_next(struct str *rest, struct arena *a, struct str *address);

#endif
