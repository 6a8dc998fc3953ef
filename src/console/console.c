#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/room.h"
#include "os/privileges.h"

/* ---- sockets ---- */

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Who may connect is looked at once more for each connection; the file's mode keeps others from
 * taking places in the backlog. */
static bool give_away(const char *path, const struct console_sockets_options *o, struct error *e)
{
	struct os_user to = { o->has_owner ? o->owner : OS_KEEP,
			      o->has_group ? o->group : OS_KEEP };

	return os_socket_give(path, o->has_group ? 0660 : 0600, to, e);
}

static bool
bind_control(struct console_sockets *s, const struct console_sockets_options *o, struct error *e)
{
	if (o->control.n >= sizeof(s->path))
		return error_set(e, ERROR_CONFIG, "hopseal_control_socket is too long");
	(void)snprintf(s->path, sizeof(s->path), STR_FMT, STR_ARG(o->control));
	s->control = net_bind_unix(o->control, e);
	if (s->control >= 0)
		return give_away(s->path, o, e);
	if (is_socket(s->path))
		(void)error_set(e, ERROR_TEMP,
				"another process has this queue, and answers at " STR_FMT,
				STR_ARG(o->control));
	s->path[0] = '\0';
	return error_prefix(e, "the control socket");
}

static bool bind_metrics(struct console_sockets *s, struct str at, struct error *e)
{
	struct net_endpoint to;

	if (!net_endpoint_parse(at, &to))
		return error_set(e, ERROR_CONFIG,
				 "hopseal_metrics_listen = " STR_FMT ": ADDRESS:PORT is wanted",
				 STR_ARG(str_first(at, 200)));
	s->metrics = net_bind(&to, e);
	return s->metrics >= 0 || error_prefix(e, "hopseal_metrics_listen");
}

bool console_bind(struct console_sockets *s, const struct console_sockets_options *o,
		  struct error *e)
{
	*s = (struct console_sockets){ .control = -1, .metrics = -1 };
	if ((o->control.n == 0 || bind_control(s, o, e)) &&
	    (o->metrics.n == 0 || bind_metrics(s, o->metrics, e)))
		return true;
	console_unbind(s);
	return false;
}

/* The name goes first: one that leads to nobody is taken by the next daemon. */
void console_unbind(struct console_sockets *s)
{
	if (s->path[0])
		(void)unlink(s->path);
	if (s->control >= 0)
		(void)close(s->control);
	if (s->metrics >= 0)
		(void)close(s->metrics);
	*s = (struct console_sockets){ .control = -1, .metrics = -1 };
}

/* ---- the console ---- */

struct console *console_new(const struct console_options *o, struct error *e)
{
	struct console *c = base_alloc(sizeof(*c));

	c->loop = o->loop;
	c->options = *o;
	list_init(&c->sessions);
	c->client = store_client_new(o->daemon.store, o->loop, e);
	if (c->client)
		c->reader = console_reader_new(o->loop, o->daemon.directory, e);
	bool is_good = c->reader != NULL;
	if (is_good && o->sockets->control >= 0) {
		c->listener =
			net_listener_open(o->loop, o->sockets->control, console_accepted, c, e);
		is_good = c->listener != NULL;
	}
	if (c->listener)
		net_listener_use_all(c->listener);
	if (is_good && o->sockets->metrics >= 0) {
		c->metrics = metrics_new(c, o->sockets->metrics, e);
		is_good = c->metrics != NULL;
	}
	if (is_good)
		return c;
	console_free(c);
	return NULL;
}

static void pulse_felt(void *arg, const struct console_figures *f)
{
	struct console *c = arg;

	(void)f;
	c->pulse = NULL;
	c->pulse_done(c->pulse_arg);
}

void console_pulse(struct console *c, void (*done)(void *arg), void *arg)
{
	CHECK(!c->pulse);
	c->pulse_done = done;
	c->pulse_arg = arg;
	c->pulse = gather_new(c, GATHER_LOOK | GATHER_WRITE, CONSOLE_LOOK_TOTALS, pulse_felt, c);
}

void console_free(struct console *c)
{
	if (!c)
		return;
	gather_forget(c->pulse);
	net_listener_free(c->listener);
	console_drop_all(c);
	metrics_free(c->metrics);
	c->is_closing = true;
	while (c->n_out > 0)
		net_loop_run(c->loop);
	console_reader_free(c->reader);
	store_client_free(c->client);
	free(c);
}
