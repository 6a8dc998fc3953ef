#include "sql/pgsql.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { OPTIONS_MAX = 8 };

struct pgsql_server {
	struct arena *arena;
	enum pgsql_kind kind;
	struct str name;     /* without password; ends in NUL */
	struct str password; /* "": none */
	/* For libpq: ends with NULL. */
	const char *keys[OPTIONS_MAX + 1], *values[OPTIONS_MAX + 1];
	size_t n;
};

struct pgsql {
	const struct pgsql_server *server;
	PGconn *conn;
	PGresult *row;
	bool has_failed; /* the query; what is left of its answer is still to be read */
	enum pgsql_fault fault;
	struct error why;
};

/* ---- servers ---- */

static void add_option(struct pgsql_server *s, const char *key, struct str value)
{
	if (value.n == 0)
		return;
	CHECK(s->n < OPTIONS_MAX);
	s->keys[s->n] = key;
	s->values[s->n++] = arena_str(s->arena, value).p;
}

static bool is_uri(struct str host)
{
	return str_has_prefix(host, STR("postgresql://")) ||
	       str_has_prefix(host, STR("postgres://"));
}

static struct str uri_value(const PQconninfoOption *options, const char *key)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, key) == 0)
			return str_of(options->val);
	return STR_NONE;
}

/* libpq tells what it does not understand with the whole URI, so it is not asked why. */
static bool set_uri(struct pgsql_server *s, struct str host, struct error *e)
{
	struct str uri = arena_str(s->arena, host);
	char *unsafe = NULL;
	PQconninfoOption *options = PQconninfoParse(uri.p, &unsafe);

	PQfreemem(unsafe);
	if (options == NULL)
		return error_set(e, ERROR_CONFIG, "a connection URI cannot be understood");
	s->kind = PGSQL_URI;
	s->password = arena_str(s->arena, uri_value(options, "password"));
	s->name = uri_value(options, "host");
	s->name = arena_fmt(s->arena, "postgresql://" STR_FMT, STR_ARG(s->name));
	PQconninfoFree(options);
	add_option(s, "dbname", uri);
	return true;
}

static struct str without_brackets(struct str host)
{
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		return str_span(host.p + 1, host.n - 2);
	return host;
}

/* An "@" is of a login, and what is before it may be a password. */
static bool set_place(struct pgsql_server *s, struct str host, struct error *e)
{
	struct str port = STR("");

	if (str_contains(host, '@'))
		return error_set(e, ERROR_CONFIG,
				 "one with an \"@\" in it is no connection URI; white space in a "
				 "URI is written %%20");
	if (str_has_prefix(host, STR("unix:")) || str_has_prefix(host, STR("inet:")))
		host = str_from(host, 5);
	s->name = arena_str(s->arena, host);
	s->kind = host.n == 0 || host.p[0] == '/' ? PGSQL_UNIX : PGSQL_INET;
	if (s->kind == PGSQL_INET)
		(void)!str_rcut(host, ':', &host, &port);
	add_option(s, "host", without_brackets(host));
	add_option(s, "port", port);
	return true;
}

static bool set_login(struct pgsql_server *s, const struct pgsql_login *login)
{
	s->password = arena_str(s->arena, login->password);
	add_option(s, "dbname", login->dbname);
	add_option(s, "user", login->user);
	add_option(s, "password", login->password);
	return true;
}

struct pgsql_server *
pgsql_server_new(struct str host, const struct pgsql_login *login, struct error *e)
{
	struct arena *a = arena_new();
	struct pgsql_server *s = ARENA_NEW(a, struct pgsql_server);

	s->arena = a;
	bool is_good =
		is_uri(host) ? set_uri(s, host, e) : set_place(s, host, e) && set_login(s, login);
	if (!is_good) {
		pgsql_server_free(s);
		return NULL;
	}
	add_option(s, "client_encoding", login->encoding);
	return s;
}

void pgsql_server_free(struct pgsql_server *s)
{
	if (s != NULL)
		arena_free(s->arena);
}

enum pgsql_kind pgsql_server_kind(const struct pgsql_server *s)
{
	return s->kind;
}

bool pgsql_server_has_password(const struct pgsql_server *s)
{
	return s->password.n > 0;
}

struct str pgsql_server_name(const struct pgsql_server *s)
{
	return s->name;
}

/* ---- failures ---- */

/* The first line that has text. */
static struct str first_line(struct str text)
{
	struct str line;

	text = str_trim(text);
	return str_trim(str_cut(text, '\n', &line, &text) ? line : text);
}

static bool tell(const struct pgsql *p, struct str said, struct error *e)
{
	struct str password = p->server->password;
	size_t at;

	said = first_line(said);
	if (password.n > 0 && str_search(said, password, &at))
		said = STR("the reason is not told, for it has the password in it");
	return error_set(e, ERROR_TEMP, STR_FMT ": " STR_FMT, STR_ARG(p->server->name),
			 STR_ARG(said));
}

static enum pgsql_progress lost(struct pgsql *p, struct error *e)
{
	p->fault = PGSQL_FAULT_LOST;
	tell(p, str_of(PQerrorMessage(p->conn)), e);
	return PGSQL_FAILED;
}

/* Classes of SQLSTATE: no resources, an operator steps in, the system, a fault of its own, a
 * conflict with what goes on. */
static bool is_servers_trouble(struct str state)
{
	static const char *const classes[] = { "53", "57", "58", "XX", "40" };

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (str_has_prefix(state, str_of(classes[i])))
			return true;
	return false;
}

static void note_failure(struct pgsql *p, const PGresult *r)
{
	struct str state = str_of(PQresultErrorField(r, PG_DIAG_SQLSTATE));
	struct str text = str_of(PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));

	p->has_failed = true;
	p->fault = PGSQL_FAULT_QUERY;
	if (PQstatus(p->conn) == CONNECTION_BAD)
		p->fault = PGSQL_FAULT_LOST;
	else if (is_servers_trouble(state))
		p->fault = PGSQL_FAULT_SERVER;
	tell(p, text.n > 0 ? text : str_of(PQresultErrorMessage(r)), &p->why);
	if (state.n > 0 && strlen(p->why.text) + state.n + 20 < sizeof(p->why.text)) {
		struct error e = p->why;
		error_set(&p->why, e.kind, "%.900s (SQLSTATE " STR_FMT ")", e.text, STR_ARG(state));
	}
}

/* ---- connecting ---- */

static void be_silent(void *arg, const PGresult *notice)
{
	(void)arg;
	(void)notice;
}

struct pgsql *pgsql_start(const struct pgsql_server *s, struct error *e)
{
	struct pgsql *p = base_alloc(sizeof(*p));

	*p = (struct pgsql){ .server = s, .fault = PGSQL_FAULT_LOST };
	p->conn = PQconnectStartParams(s->keys, s->values, 1);
	CHECK(p->conn != NULL);
	if (PQstatus(p->conn) != CONNECTION_BAD) {
		(void)PQsetNoticeReceiver(p->conn, be_silent, NULL);
		return p;
	}
	tell(p, str_of(PQerrorMessage(p->conn)), e);
	pgsql_close(p);
	return NULL;
}

enum pgsql_progress pgsql_connect(struct pgsql *p, struct error *e)
{
	switch (PQconnectPoll(p->conn)) {
	case PGRES_POLLING_READING:
		return PGSQL_WAIT_READ;
	case PGRES_POLLING_WRITING:
	case PGRES_POLLING_ACTIVE:
		return PGSQL_WAIT_WRITE;
	case PGRES_POLLING_FAILED:
		return lost(p, e);
	case PGRES_POLLING_OK:
		break;
	}
	return PQsetnonblocking(p->conn, 1) == 0 ? PGSQL_READY : lost(p, e);
}

static void drop_row(struct pgsql *p)
{
	PQclear(p->row);
	p->row = NULL;
}

void pgsql_close(struct pgsql *p)
{
	if (p == NULL)
		return;
	drop_row(p);
	PQfinish(p->conn);
	free(p);
}

int pgsql_fd(const struct pgsql *p)
{
	return PQsocket(p->conn);
}

/* ---- queries ---- */

bool pgsql_quote(struct pgsql *p, struct str text, struct buf *out, struct error *e)
{
	int is_bad = 0;
	char *room;

	if (text.n > SIZE_MAX / 2 - 1 || (room = buf_reserve(out, 2 * text.n + 1)) == NULL)
		return error_set(e, ERROR_LIMIT, "the query is too long");
	size_t n = PQescapeStringConn(p->conn, room, text.n > 0 ? text.p : "", text.n, &is_bad);
	if (is_bad)
		return tell(p, str_of(PQerrorMessage(p->conn)), e);
	buf_filled(out, n);
	return true;
}

bool pgsql_send(struct pgsql *p, const char *query, struct error *e)
{
	drop_row(p);
	p->has_failed = false;
	if (PQsendQuery(p->conn, query) == 1 && PQsetSingleRowMode(p->conn) == 1)
		return true;
	(void)lost(p, e);
	return false;
}

/* True: it is about the next result; false: *progress. */
static bool take_result(struct pgsql *p, PGresult *r, enum pgsql_progress *progress)
{
	switch (PQresultStatus(r)) {
	case PGRES_SINGLE_TUPLE:
		p->row = r;
		*progress = PGSQL_ROW;
		return p->has_failed;
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		break;
	case PGRES_EMPTY_QUERY:
	case PGRES_NONFATAL_ERROR:
	case PGRES_FATAL_ERROR:
		note_failure(p, r);
		break;
	case PGRES_BAD_RESPONSE:
	case PGRES_COPY_OUT:
	case PGRES_COPY_IN:
	case PGRES_COPY_BOTH:
	case PGRES_PIPELINE_SYNC:
	case PGRES_PIPELINE_ABORTED:
		p->fault = PGSQL_FAULT_LOST;
		tell(p, STR("the answer is none to a query"), &p->why);
		*progress = PGSQL_FAILED;
		PQclear(r);
		return false;
	}
	PQclear(r);
	return true;
}

enum pgsql_progress pgsql_next(struct pgsql *p, struct error *e)
{
	enum pgsql_progress progress = PGSQL_END;
	PGresult *r;

	do {
		drop_row(p);
		int unsent = PQflush(p->conn);
		if (unsent < 0 || (PQisBusy(p->conn) && PQconsumeInput(p->conn) != 1))
			return lost(p, e);
		if (PQisBusy(p->conn))
			return unsent > 0 ? PGSQL_WAIT_WRITE : PGSQL_WAIT_READ;
		r = PQgetResult(p->conn);
	} while (r != NULL && take_result(p, r, &progress));

	if (progress == PGSQL_FAILED || (r == NULL && p->has_failed)) {
		*e = p->why;
		return PGSQL_FAILED;
	}
	return r == NULL ? PGSQL_END : PGSQL_ROW;
}

enum pgsql_fault pgsql_fault(const struct pgsql *p)
{
	return p->fault;
}

int pgsql_columns(const struct pgsql *p)
{
	return PQnfields(p->row);
}

struct str pgsql_text(const struct pgsql *p, int at)
{
	if (PQgetisnull(p->row, 0, at))
		return STR_NONE;
	return str_span(PQgetvalue(p->row, 0, at), (size_t)PQgetlength(p->row, 0, at));
}
