/* What the login for a server is looked up by, and what is found: smtp_sasl_password_maps. */

#ifndef HOPSEAL_ROUTE_LOGIN_H
#define HOPSEAL_ROUTE_LOGIN_H

#include "base/arena.h"
#include "conf/conf.h"
#include "route/route.h"

#define ROUTE_LOGIN_KEYS_MAX 7

struct route_login_key {
	struct str text;
	bool is_partial; /* cut from a longer one */
};

struct route_login_subject {
	enum route_protocol protocol;
	struct str sender;      /* "" asks for nobody's own login */
	bool is_sender_our_own; /* its domain is this machine's: route_own_step */
	struct str host;        /* the server's name, or its address */
	struct str nexthop;     /* one of route_nexthops */
};

/* Whether the tables are asked for the sender, too. */
MUST_USE bool
route_login_has_sender(const struct conf *conf, enum route_protocol protocol, struct str sender);

/* In the order in which they are asked; the first that is found counts. `conf` as the client of the
 * protocol reads it. Gives their number; texts borrow from the subject, or live in the arena. */
size_t route_login_keys(struct arena *a, const struct conf *conf,
			const struct route_login_subject *s,
			struct route_login_key keys[ROUTE_LOGIN_KEYS_MAX]);

/* "user:password" in two. False: it is neither, or longer than anybody's (ROUTE_LOGIN_MAX). */
MUST_USE bool
route_login_split(struct str value, struct str delimiter, struct str *user, struct str *password);

#endif
