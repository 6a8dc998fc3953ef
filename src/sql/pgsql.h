/* PostgreSQL: a connection that never waits by itself. Each call goes as far as it can and says
 * what to wait for; the caller polls pgsql_fd, with the deadline that it has, and calls again.
 * Only pgsql_start may take time, for the name of a host.
 *
 * Nothing that comes out of here, as an error or a name, has a password in it. */

#ifndef HOPSEAL_SQL_PGSQL_H
#define HOPSEAL_SQL_PGSQL_H

#include "base/buf.h"
#include "base/error.h"

/* ---- servers ---- */

struct pgsql_login {
	struct str dbname, user, password; /* "": as libpq finds them */
	struct str encoding;               /* of queries and values */
};

enum pgsql_kind { PGSQL_UNIX, PGSQL_INET, PGSQL_URI };

struct pgsql_server; /* immutable: any number of threads may use it */

/* `host` as in pgsql_table(5): "unix:/folder", "inet:host:port", both without the prefix, or a
 * connection URI, which brings its own login. NULL: *e. */
MUST_USE struct pgsql_server *
pgsql_server_new(struct str host, const struct pgsql_login *login, struct error *e);
void pgsql_server_free(struct pgsql_server *s); /* NULL is fine */
enum pgsql_kind pgsql_server_kind(const struct pgsql_server *s);
bool pgsql_server_has_password(const struct pgsql_server *s);
struct str pgsql_server_name(const struct pgsql_server *s); /* for people */

/* ---- connections ---- */

struct pgsql;

enum pgsql_progress {
	PGSQL_WAIT_READ,  /* call again when pgsql_fd is readable */
	PGSQL_WAIT_WRITE, /* ... readable or writable */
	PGSQL_READY,      /* connected */
	PGSQL_ROW,        /* the next row is there */
	PGSQL_END,        /* no more rows; the connection is good for the next query */
	PGSQL_FAILED,
};

/* What a failure means for what comes next. */
enum pgsql_fault {
	PGSQL_FAULT_QUERY,  /* the server does not take it; it would not take it again either */
	PGSQL_FAULT_SERVER, /* it is in trouble: another one, or later, may do better */
	PGSQL_FAULT_LOST,   /* the connection is gone */
};

/* `s` is borrowed until pgsql_close. NULL: *e. Then pgsql_connect is to be called, at first when
 * pgsql_fd is writable, until it is READY or has FAILED. */
MUST_USE struct pgsql *pgsql_start(const struct pgsql_server *s, struct error *e);
MUST_USE enum pgsql_progress pgsql_connect(struct pgsql *p, struct error *e);
void pgsql_close(struct pgsql *p);   /* NULL is fine */
int pgsql_fd(const struct pgsql *p); /* may be another one after each call */

/* Appends `text` as it has to stand inside '...' on this connection. False: the limit of `out`, or
 * octets that are no characters of the encoding; *e. */
MUST_USE bool pgsql_quote(struct pgsql *p, struct str text, struct buf *out, struct error *e);

/* Begins a query, which ends in NUL; then pgsql_next until END or FAILED. */
MUST_USE bool pgsql_send(struct pgsql *p, const char *query, struct error *e);
MUST_USE enum pgsql_progress pgsql_next(struct pgsql *p, struct error *e);
enum pgsql_fault pgsql_fault(const struct pgsql *p); /* after FAILED, and false of pgsql_send */

/* Of the row; spans are borrowed until the next call. STR_NONE is NULL. */
int pgsql_columns(const struct pgsql *p);
struct str pgsql_text(const struct pgsql *p, int at);

#endif
