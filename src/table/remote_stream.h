/* A connection to a server of questions and answers, for the engines of socketmap and tcp tables:
 * one request, one reply, in order. Runs on the threads of a remote table. */

#ifndef HOPSEAL_TABLE_REMOTE_STREAM_H
#define HOPSEAL_TABLE_REMOTE_STREAM_H

#include "table/remote.h"

struct remote_server {
	bool is_unix;
	char host[256]; /* a name or an address without brackets; "" is this machine */
	char port[64];  /* a number or the name of a service */
	char path[108]; /* of a UNIX-domain socket */
};

/* "host:port", "[address]:port", ":port". False: *e says what is wrong. */
MUST_USE bool remote_server_parse_inet(struct str text, struct remote_server *out, struct error *e);
/* Such a server after "inet:", or a path after "unix:". */
MUST_USE bool remote_server_parse(struct str text, struct remote_server *out, struct error *e);

struct remote_stream;

/* Tries each address of the host. NULL: *why says what became of the last one. */
MUST_USE struct remote_stream *remote_stream_open(const struct remote_server *server,
						  const struct remote_call *call,
						  struct error *why);
void remote_stream_close(struct remote_stream *s);

enum remote_take {
	REMOTE_TAKE_OK,
	REMOTE_TAKE_MORE,
	REMOTE_TAKE_BAD,
};

/* A request and its reply. */
struct remote_exchange {
	struct str request;
	/* Finds the reply in what has come in, in `used` octets of it. */
	enum remote_take (*take)(const void *arg, struct str in, struct str *reply, size_t *used);
	const void *arg;
	size_t max;       /* octets that may have to be held until `take` decides */
	struct str reply; /* as `take` found it; lives until the next call */
};

/* REMOTE_FOUND: there is a reply, and it came alone. Otherwise BROKEN or LOST, with *why. */
MUST_USE enum remote_status remote_stream_ask(struct remote_stream *s,
					      const struct remote_call *call,
					      struct remote_exchange *x, struct error *why);

#endif
