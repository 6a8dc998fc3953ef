/* What a client is called: the name that its address has in DNS, if that name has this address,
 * too. RFC 1912 section 2.1. Thread: that of the loop. */

#ifndef HOPSEAL_ASK_PEER_NAME_H
#define HOPSEAL_ASK_PEER_NAME_H

#include "ask/ask.h"

struct ask_peer_name;

/* `answered` is called once from the loop, never from inside this call: with the name (borrowed,
 * lower case), or with "". In doubt: because a lookup failed. */
MUST_USE struct ask_peer_name *
ask_peer_name_new(struct ask *k, const struct address *client,
		  void (*answered)(void *arg, struct str name, bool is_in_doubt), void *arg);
void ask_peer_name_free(struct ask_peer_name *p); /* cancels; inside `answered` too */

#endif
