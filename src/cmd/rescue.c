/* The daemon's place in spite of a configuration with errors: an operator must be able to look at
 * the daemon and to steer it while somebody edits main.cf. Definitions with errors are left out;
 * what is then in force is good for finding the socket, and for nothing else. */

#include <stdlib.h>

#include "base/limits.h"
#include "cmd/cmd.h"
#include "os/os.h"

enum { ROUNDS_MAX = 8 }; /* leaving one out may show the next */

struct rescue {
	const struct cmd_sources *sources;
	struct arena *arena;
	struct str text;     /* of main.cf, what is left of it */
	bool is_about_place; /* what was left out says where the socket is */
};

static bool is_of_place(struct str name)
{
	return str_eq(name, conf_name(CONF_hopseal_control_socket)) ||
	       str_eq(name, conf_name(CONF_hopseal_queue_directory));
}

static bool is_told(const struct cmd_sources *s)
{
	struct str name, value;

	for (size_t i = 0; i < s->n_overrides; i++)
		if (str_cut(str_of(s->overrides[i]), '=', &name, &value) &&
		    is_of_place(str_trim(name)))
			return true;
	return false;
}

/* The place cannot be told from what is left: another daemon's may be the default. */
static bool is_lost(const struct rescue *r)
{
	return r->is_about_place && !is_told(r->sources);
}

static bool goes_on(struct str line)
{
	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* Empties a line and those that go on with it; the numbers of the others stay. */
static void leave_out(struct rescue *r, unsigned number)
{
	struct str rest = r->text, line, name, value;
	bool is_out = false;
	unsigned n = 0;
	struct buf b;

	buf_init(&b, CONF_FILE_MAX + 1);
	while (rest.n > 0) {
		if (!str_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = STR("");
		}
		is_out = ++n == number || (is_out && goes_on(line));
		if (n == number && str_cut(line, '=', &name, &value))
			r->is_about_place |= is_of_place(str_trim(name));
		if (!is_out && !buf_add(&b, line))
			break;
		if (!buf_add_char(&b, '\n'))
			break;
	}
	r->text = arena_str(r->arena, buf_str(&b));
	buf_fini(&b);
}

/* A machine without a proper name. */
static void give_name(struct rescue *r)
{
	r->text = arena_fmt(r->arena,
			    STR_FMT "\nmyhostname = localhost.invalid\nmydomain = invalid\n",
			    STR_ARG(r->text));
}

/* False: there is nothing more to leave out. */
static bool leave_out_errors(struct rescue *r, const struct conf_findings *found)
{
	bool is_changed = false;

	for (size_t i = 0; i < found->n; i++) {
		const struct conf_finding *f = &found->v[i];
		if (f->severity != CONF_ERROR)
			continue;
		r->is_about_place |= is_of_place(f->param);
		if (f->line > 0)
			leave_out(r, f->line);
		else if (str_eq(f->param, conf_name(CONF_myhostname)) ||
			 str_eq(f->param, conf_name(CONF_mydomain)))
			give_name(r);
		else
			return false;
		is_changed = true;
	}
	return is_changed;
}

static void read_text(struct rescue *r)
{
	struct str path = arena_fmt(r->arena, "%s/main.cf", cmd_config_dir(r->sources));
	struct buf b;

	buf_init(&b, CONF_FILE_MAX);
	if (os_file_read(path.p, &b, NULL, NULL))
		r->text = arena_str(r->arena, buf_str(&b));
	else
		r->is_about_place = r->sources->config_dir || getenv("MAIL_CONFIG");
	buf_fini(&b);
}

static struct conf *rescue(struct rescue *r)
{
	struct conf_findings found;
	struct error e;

	read_text(r);
	for (unsigned i = 0; i < ROUNDS_MAX && !is_lost(r); i++) {
		found = (struct conf_findings){ 0 };
		struct conf *c = cmd_configure_text(r->sources, r->text, r->arena, &found, &e);
		if (c || !leave_out_errors(r, &found))
			return c;
	}
	return NULL;
}

struct conf *cmd_configure_to_ask(const struct cmd_sources *s, bool *is_rescued, int *exit_code)
{
	struct rescue r = { .sources = s, .text = STR("") };
	struct conf *c = cmd_configure(s, CONF_ERROR, exit_code);

	*is_rescued = false;
	if (c)
		return c;
	r.arena = arena_new();
	c = rescue(&r);
	*is_rescued = c != NULL;
	if (c)
		cmd_say("the daemon is asked all the same, at " STR_FMT,
			STR_ARG(conf_str(c, CONF_hopseal_control_socket)));
	else if (r.is_about_place)
		cmd_say("-o hopseal_control_socket=PATH names the running daemon's");
	arena_free(r.arena);
	return c;
}

bool cmd_no_daemon(struct error *e)
{
	return error_set(e, ERROR_CONFIG,
			 "no daemon answers there, and nothing else is done under "
			 "this configuration");
}
