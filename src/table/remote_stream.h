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
/* Finds a reply in what has come in, in `used` octets of it. */
typedef enum remote_take remote_take(struct str in, struct str *reply, size_t *used);

/* Sends a request and waits for the reply, which lives until the next call. REMOTE_FOUND: there is
 * one, and it came alone. Otherwise BROKEN or LOST, with *why. */
MUST_USE enum remote_status
remote_stream_ask(struct remote_stream *s, const struct remote_call *call, struct str request,
		  remote_take *take, struct str *reply, struct error *why);

#endif
