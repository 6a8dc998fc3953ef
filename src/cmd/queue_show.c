/* hopseal queue show, cat: one message. */

#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/page.h"
#include "cmd/queue.h"
#include "os/os.h"

enum { SHOW_MAX = 256 * 1024 * 1024, PIECE = 64 * 1024 };

struct showing {
	struct queue_command *q;
	struct arena *arena;
	struct buf out;
	struct json j;
	bool fits;
	const struct store_message *m;
};

/* ---- JSON ---- */

/* A document that stands inside this one. */
static void put_raw(struct showing *s, const char *key, struct str document)
{
	json_key(&s->j, key);
	document = str_trim(document);
	if (document.n == 0) {
		json_null(&s->j);
		return;
	}
	s->j.is_after_key = false;
	s->fits = s->fits && buf_add(&s->out, document);
}

static enum store_go_on attempt_json(void *arg, const struct store_attempt *t)
{
	struct showing *s = arg;

	json_object(&s->j);
	json_put_str(&s->j, "at", cmd_queue_time(s->arena, t->at_ms));
	json_put_bool(&s->j, "fate_unknown", t->is_fate_unknown);
	put_raw(s, "outcome", t->evidence);
	put_raw(s, "evidence", t->ground);
	json_object_end(&s->j);
	return s->fits && !s->j.is_full ? STORE_GO_ON : STORE_STOP;
}

static void message_json(struct showing *s)
{
	const struct store_message *m = s->m;
	char id[STORE_ID_TEXT_MAX];

	json_put_str(&s->j, "queue_id", store_id_text(m->id, id));
	json_put_str(&s->j, "arrived", cmd_queue_time(s->arena, m->arrived_ms));
	json_put_int(&s->j, "size", (int64_t)m->size);
	json_put_str(&s->j, "sender", m->sender);
	json_put_str(&s->j, "envid", m->envid);
	json_put_str(&s->j, "ret", m->ret);
	json_put_bool(&s->j, "smtputf8", m->flags & STORE_SMTPUTF8);
	json_put_bool(&s->j, "requiretls", m->flags & STORE_REQUIRETLS);
	put_raw(s, "client", m->client);
	json_key(&s->j, "recipients");
	json_array(&s->j);
	for (size_t i = 0; i < m->n_rcpts; i++) {
		json_object(&s->j);
		cmd_queue_recipient_json(&s->j, s->arena, &m->rcpts[i]);
		json_object_end(&s->j);
	}
	json_array_end(&s->j);
}

static bool show_json(struct showing *s, struct store_reader *r, struct error *e)
{
	json_init(&s->j, &s->out, false);
	json_object(&s->j);
	message_json(s);
	json_key(&s->j, "attempts");
	json_array(&s->j);
	if (!store_evidence(r, s->m->id, attempt_json, s, e))
		return false;
	json_array_end(&s->j);
	json_object_end(&s->j);
	return (json_end(&s->j) && s->fits) || error_set(e, ERROR_LIMIT, "it is too long to show");
}

/* ---- text ---- */

static void put(struct showing *s, const char *label, struct str text)
{
	s->fits = s->fits &&
		  (text.n == 0 || buf_fmt(&s->out, "%-12s " STR_FMT "\n", label, STR_ARG(text)));
}

static void put_recipient(struct showing *s, const struct store_rcpt *r)
{
	struct str to = r->destination.n > 0 ? r->destination : STR("not routed yet");

	s->fits = s->fits && buf_fmt(&s->out, "\n" STR_FMT "\n", STR_ARG(r->address));
	put(s, "  state", cmd_queue_state(r->state));
	put(s, "  by", to);
	if (r->state == STORE_QUEUED)
		put(s, "  due", cmd_queue_time(s->arena, r->due_ms));
	put(s, "  attempts", arena_fmt(s->arena, "%u", r->attempts));
	put(s, "  reason", r->last.reason);
}

static struct str text_at(const struct json_node *n, const char *path)
{
	struct str text = STR("");

	(void)!json_get_str(n, path, &text);
	return text;
}

/* One host that was tried: what was demanded of it, and what came of it. */
static void put_try(struct showing *s, const struct json_node *t)
{
	struct str reached = text_at(t, "judgement.reached");

	put(s, "  host",
	    arena_fmt(s->arena, STR_FMT " " STR_FMT, STR_ARG(text_at(t, "host")),
		      STR_ARG(text_at(t, "endpoint"))));
	put(s, "    demands", text_at(t, "decision.level"));
	if (reached.n > 0)
		put(s, "    reached",
		    arena_fmt(s->arena, STR_FMT " (" STR_FMT ")", STR_ARG(reached),
			      STR_ARG(text_at(t, "judgement.result"))));
	put(s, "    trouble", text_at(t, "trouble.reason"));
}

static void put_outcomes(struct showing *s, struct str evidence)
{
	struct json_doc *d = json_doc_new(evidence, NULL);
	const struct json_node *all = d ? json_at(json_doc_root(d), "recipients") : NULL;

	for (size_t i = 0; all && i < json_count(all); i++) {
		const struct json_node *r = json_item(all, i);
		put(s, "  outcome",
		    arena_fmt(s->arena, STR_FMT " " STR_FMT ": " STR_FMT,
			      STR_ARG(text_at(r, "recipient")), STR_ARG(text_at(r, "outcome")),
			      STR_ARG(text_at(r, "reason"))));
	}
	json_doc_free(d);
}

static void put_tries(struct showing *s, struct str ground)
{
	struct json_doc *d = ground.n > 0 ? json_doc_new(ground, NULL) : NULL;
	const struct json_node *all = d ? json_at(json_doc_root(d), "tries") : NULL;

	for (size_t i = 0; all && i < json_count(all); i++)
		put_try(s, json_item(all, i));
	json_doc_free(d);
}

static enum store_go_on attempt_text(void *arg, const struct store_attempt *t)
{
	struct showing *s = arg;

	s->fits = s->fits && buf_fmt(&s->out, "\nattempt at " STR_FMT "\n",
				     STR_ARG(cmd_queue_time(s->arena, t->at_ms)));
	put_tries(s, t->ground);
	put_outcomes(s, t->evidence);
	if (t->is_fate_unknown)
		put(s, "  note", STR("the final reply never came: it may arrive twice"));
	return s->fits ? STORE_GO_ON : STORE_STOP;
}

static bool show_text(struct showing *s, struct store_reader *r, struct error *e)
{
	const struct store_message *m = s->m;
	char id[STORE_ID_TEXT_MAX];

	put(s, "queue id", store_id_text(m->id, id));
	put(s, "arrived", cmd_queue_time(s->arena, m->arrived_ms));
	put(s, "size", arena_fmt(s->arena, "%llu octets", (unsigned long long)m->size));
	put(s, "sender", m->sender.n > 0 ? m->sender : STR("<>"));
	put(s, "client", m->client);
	for (size_t i = 0; i < m->n_rcpts; i++)
		put_recipient(s, &m->rcpts[i]);
	return store_evidence(r, m->id, attempt_text, s, e) &&
	       (s->fits || error_set(e, ERROR_LIMIT, "it is too long to show"));
}

/* ---- which ---- */

static bool find_id(struct queue_command *q, uint64_t *id, struct error *e)
{
	return store_id_parse(str_of(q->ids[0]), id) ||
	       error_set(e, ERROR_DATA, "\"%s\" is no queue id", q->ids[0]);
}

static bool no_message(const struct queue_command *q, struct error *e)
{
	return error_set(e, ERROR_NO_INPUT, "there is no message %s", q->ids[0]);
}

static bool show(struct showing *s, struct store_reader *r, struct error *e)
{
	struct store_message *m;
	uint64_t id;

	if (!find_id(s->q, &id, e) || !store_message(r, s->arena, id, &m, e))
		return false;
	if (!m)
		return no_message(s->q, e);
	s->m = m;
	return s->q->is_json ? show_json(s, r, e) : show_text(s, r, e);
}

int cmd_queue_show(struct queue_command *q)
{
	struct error e;
	struct store_reader *r = store_reader_open(q->directory, &e);
	struct showing s = { .q = q, .arena = q->arena, .fits = true };
	int status = EX_OK;

	buf_init(&s.out, SHOW_MAX);
	if (!r || !show(&s, r, &e))
		status = cmd_fail(&e);
	else if (!cmd_print(buf_str(&s.out)))
		status = EX_IOERR;
	store_reader_close(r);
	buf_fini(&s.out);
	return status;
}

/* ---- cat ---- */

/* As it is: it is meant for a file or a program. */
static bool write_all(struct str s, struct error *e)
{
	while (s.n > 0) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);
		if (n < 0)
			return error_set(e, ERROR_IO, "writing to standard output failed");
		s = str_from(s, (size_t)n);
	}
	return true;
}

static bool copy_file(const struct store_content *c, struct error *e)
{
	char piece[PIECE];
	int fd = store_content_descriptor(c, e);
	bool is_good = fd >= 0;
	ssize_t n = 0;

	while (is_good && (n = read(fd, piece, sizeof(piece))) > 0)
		is_good = write_all(str_span(piece, (size_t)n), e);
	if (n < 0)
		is_good = error_set(e, ERROR_IO, "the message could not be read");
	if (fd >= 0)
		(void)close(fd);
	return is_good;
}

static bool cat(struct queue_command *q, struct store_reader *r, struct error *e)
{
	struct store_content *c;
	uint64_t id;

	if (!find_id(q, &id, e) || !store_content_open(r, id, &c, e))
		return false;
	if (!c)
		return no_message(q, e);
	bool is_good =
		store_content_is_file(c) ? copy_file(c, e) : write_all(store_content_memory(c), e);
	store_content_unref(c);
	return is_good;
}

int cmd_queue_cat(struct queue_command *q)
{
	struct error e;
	struct store_reader *r = store_reader_open(q->directory, &e);
	int status = r && cat(q, r, &e) ? EX_OK : cmd_fail(&e);

	store_reader_close(r);
	return status;
}
