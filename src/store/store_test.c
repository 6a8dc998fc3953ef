#include "store/store_test.h"

#include <fcntl.h>
#include <sys/file.h>

static const struct str one = STR_INIT("smtp:one.example"), two = STR_INIT("smtp:two.example");

/* ---- accepting ---- */

TEST(what_is_accepted_is_there)
{
	struct rig *r = rig_new(1000);
	uint64_t id = store_client_id(r->client);
	struct store_rcpt rcpts[] = {
		{ .destination = one, .address = STR("a@one.example"), .notify = STR("NEVER") },
		{ .destination = two, .address = STR("b@two.example"), .orcpt = STR("rfc822;x") },
	};
	struct store_message m = { .id = id,
				   .arrived_ms = 123456,
				   .flags = STORE_8BIT | STORE_REQUIRETLS,
				   .sender = STR("s@example"),
				   .ret = STR("HDRS"),
				   .envid = STR("e1"),
				   .client = STR("{\"address\":\"192.0.2.1\"}"),
				   .rcpts = rcpts,
				   .n_rcpts = 2 };
	struct store_content *c = rig_content(r, id, STR("Subject: x\r\n\r\ny\r\n"));

	store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
	ok(r->n_done == 0, "never from inside the call");
	ok(rig_wait(r) == STORE_DONE && r->n_done == 1, r->text);
	store_content_unref(c);
	for (int i = 0; i < 2; i++) {
		struct store_message *got = rig_read(r, id);
		ok(got && got->id == id && got->arrived_ms == 123456 && got->size == 17, "row");
		ok(got->flags == (STORE_8BIT | STORE_REQUIRETLS), "flags");
		ok_str(got->sender, m.sender, "sender");
		ok_str(got->ret, m.ret, "ret");
		ok_str(got->envid, m.envid, "envid");
		ok_str(got->client, m.client, "client");
		ok(got->n_rcpts == 2 && got->rcpts[1].index == 1, "recipients");
		ok_str(got->rcpts[0].address, rcpts[0].address, "address");
		ok_str(got->rcpts[0].notify, rcpts[0].notify, "notify");
		ok_str(got->rcpts[1].orcpt, rcpts[1].orcpt, "orcpt");
		ok_str(got->rcpts[1].destination, two, "destination");
		ok(got->rcpts[0].state == STORE_QUEUED && got->rcpts[0].due_ms == 123456, "due");
		ok(got->rcpts[0].attempts == 0 && got->rcpts[0].last.reason.n == 0, "not tried");
		ok_str(rig_text(r, id), STR("Subject: x\r\n\r\ny\r\n"), "content");
		rig_reopen(r); /* and the same again */
	}
	ok(!rig_read(r, id + 256), "no other");
	rig_free(r);
}

TEST(content_is_inline_or_a_file)
{
	static const struct {
		const char *rule;
		size_t limit, size;
		bool is_file;
	} cases[] = {
		{ "none", 10, 0, false },
		{ "at the limit", 1000, 1000, false },
		{ "beyond it", 1000, 1001, true },
		{ "limit 0", 0, 1, true },
		{ "more than a buffer", 1000, 300000, true },
		{ "a large limit", 400000, 300000, false },
	};
	static char text[300000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	FOR_EACH(c, cases) {
		struct rig *r = rig_new(c->limit);
		uint64_t id = rig_accept(r, one, str_span(text, c->size));
		ok(rig_has_file(r, id) == c->is_file, c->rule);
		rig_reopen(r);
		ok_str(rig_text(r, id), str_span(text, c->size), c->rule);
		rig_free(r);
	}
}

TEST(files_are_for_their_owner)
{
	struct rig *r = rig_new(0);
	uint64_t id = rig_accept(r, one, STR("x"));
	static const char *const names[] = { "queue.db", "queue.db-wal", "queue.db-shm", "lock" };
	char path[STORE_PATH_MAX];
	struct stat st;

	FOR_EACH(name, names) {
		(void)snprintf(path, sizeof(path), "%s/%s", r->directory, *name);
		ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, path);
	}
	rig_path(r, id, path);
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, path);
	*strrchr(path, '/') = '\0';
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700, path);
	rig_free(r);
}

TEST(orphans_are_removed)
{
	struct rig *r = rig_new(0);
	uint64_t kept = rig_accept(r, one, STR("kept"));
	uint64_t lost = store_client_id(r->client), dropped = store_client_id(r->client);
	struct store_content *c = rig_content(r, lost, STR("never accepted"));
	struct error e = { 0 };
	char path[STORE_PATH_MAX];

	ok(rig_has_file(r, lost), "a file before anything is committed");
	store_content_unref(c);
	ok(!rig_has_file(r, lost), "its last reader takes it along");
	struct store_spool *s = store_spool_new(r->client, dropped);
	ok(store_spool_add(s, str_span(RIG_DIRECTORY, 20), &e), e.text);
	store_spool_free(s);
	ok(!rig_has_file(r, dropped), "a spool that is dropped");

	rig_path(r, lost, path);
	FILE *f = fopen(path, "w");
	ok(f && fclose(f) == 0, "as if we had crashed");
	r->options.is_checked = false;
	rig_reopen(r);
	ok(rig_has_file(r, lost), "left alone by who does not stay");
	r->options.is_checked = true;
	rig_reopen(r);
	ok(!rig_has_file(r, lost), "removed when the store is opened");
	ok_str(rig_text(r, kept), STR("kept"), "and no other");
	rig_free(r);
}

TEST(a_group_is_one_transaction_and_in_order)
{
	struct rig *r = rig_new(1000);
	uint64_t ids[1000];

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = rig_accept_at(r, 1000, i % 2 ? &one : &two, 1, STR("x"),
				       STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE && r->n_done == ARRAY_LEN(ids), r->text);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		ok(rig_read(r, ids[i]) != NULL, "each of them");
		ok(i == 0 || ids[i] > ids[i - 1], "ids rise");
	}
	rig_free(r);
}

TEST(notes_are_done_in_the_order_given)
{
	struct rig *r = rig_new(1000);
	const struct store_rcpt_record gone = { .index = 1, .verdict = STORE_GONE };
	const struct str to[] = { one, two };
	const struct store_move move = { 0, two };

	for (int i = 0; i < 100; i++) {
		uint64_t id = rig_accept_at(r, 1000, to, 2, STR("x"), STORE_ACCEPT_QUEUED);
		const struct store_selection all = { .reach = STORE_OF_MESSAGE, .message = id };
		store_record(r->client,
			     &(struct store_record){ .message = id, .rcpts = &gone, .n_rcpts = 1 },
			     rig_done, r);
		store_change(r->client, STORE_HOLD, &all, 1000, rig_done, r);
		store_move(r->client, id, &move, 1, 7000, rig_done, r);
		store_change(r->client, STORE_RELEASE, &all, 9000, rig_done, r);
		ok(rig_wait(r) == STORE_DONE, r->text);
		const struct store_message *m = rig_read(r, id);
		ok(m && m->n_rcpts == 1 && m->rcpts->state == STORE_QUEUED, "all were done");
		ok(m->rcpts->due_ms == 9000, "the last one last");
		ok_str(m->rcpts->destination, two, "moved while held");
	}
	rig_free(r);
}

TEST(one_that_cannot_be_fails_alone)
{
	struct rig *r = rig_new(1000);
	uint64_t old = rig_accept(r, one, STR("x"));
	struct store_message m = rig_message(r, old, 1000, &one, 1);
	struct store_content *c = rig_content(r, old, STR("y"));
	uint64_t before = rig_accept_at(r, 1000, &one, 1, STR("x"), STORE_ACCEPT_QUEUED);

	store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
	uint64_t behind = rig_accept_at(r, 1000, &one, 1, STR("x"), STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(rig_read(r, before) && rig_read(r, behind), "its neighbours are accepted");
	store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
	ok(rig_wait(r) == STORE_REFUSED, "an id that is there already");
	ok_str(rig_text(r, old), STR("x"), "and the first one stays as it was");
	store_content_unref(c);
	rig_free(r);
}

/* ---- recording ---- */

static const struct outcome deferral = {
	.kind = OUTCOME_DEFERRED,
	.status = { 4, 7, 5 },
	.reason = STR_INIT("the certificate is not trusted"),
	.remote_host = STR_INIT("mx.one.example"),
	.reply = { 451, { 4, 7, 0 }, STR_INIT("not now\nreally") },
};

static void record(struct rig *r, uint64_t id, uint32_t index, enum store_verdict verdict,
		   int64_t due_ms, struct store_ground *g, const char *evidence)
{
	const struct store_rcpt_record rcpt = { index, verdict, due_ms, deferral, false };

	store_record(r->client,
		     &(struct store_record){ .message = id,
					     .at_ms = 5000,
					     .rcpts = &rcpt,
					     .n_rcpts = 1,
					     .ground = g,
					     .evidence = str_of(evidence),
					     .is_fate_unknown = verdict == STORE_RETRY_AT },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
}

TEST(delivered_recipients_go_and_the_message_with_the_last)
{
	struct rig *r = rig_new(3);
	const struct str to[] = { one, two, one };
	uint64_t small = rig_accept_at(r, 1000, to, 3, STR("abc"), STORE_ACCEPT_QUEUED);
	uint64_t large = rig_accept_at(r, 1000, to, 3, STR("abcd"), STORE_ACCEPT_QUEUED);

	ok(rig_wait(r) == STORE_DONE, r->text);
	for (uint32_t i = 0; i < 3; i++) {
		struct store_message *m = rig_read(r, small);
		ok(m->n_rcpts == 3 - i && m->rcpts[0].index == i, "one after the other");
		ok(rig_has_file(r, large), "the file stays with its message");
		record(r, small, i, STORE_GONE, 0, NULL, "");
		record(r, large, i, STORE_GONE, 0, NULL, "");
	}
	ok(!rig_read(r, small) && !rig_text(r, small).p, "and the content with it");
	ok(!rig_read(r, large) && !rig_has_file(r, large), "be it a file");
	record(r, small, 1, STORE_GONE, 0, NULL, "");
	record(r, small, 1, STORE_RETRY_AT, 1, NULL, "");
	ok(!rig_read(r, small), "what is gone stays gone");
	rig_free(r);
}

TEST(deferred_recipients_wait_with_their_reason)
{
	struct rig *r = rig_new(1000);
	const struct str to[] = { one, one };
	uint64_t id = rig_accept_at(r, 1000, to, 2, STR("x"), STORE_ACCEPT_QUEUED);

	ok(rig_wait(r) == STORE_DONE, r->text);
	record(r, id, 1, STORE_RETRY_AT, 77000, NULL, "");
	const struct store_rcpt *v = rig_read(r, id)->rcpts;
	ok(v[0].due_ms == 1000 && v[0].attempts == 0, "the other one is untouched");
	ok(v[1].due_ms == 77000 && v[1].attempts == 1 && v[1].state == STORE_QUEUED, "due later");
	ok(v[1].last.kind == OUTCOME_DEFERRED && v[1].last.status.detail == 5, "status");
	ok_str(v[1].last.reason, deferral.reason, "reason");
	ok_str(v[1].last.remote_host, deferral.remote_host, "host");
	ok(v[1].last.reply.code == 451 && v[1].last.reply.status.subject == 7, "reply code");
	ok_str(v[1].last.reply.text, deferral.reply.text, "reply");
	rig_free(r);
}

struct seen_attempts {
	size_t n;
	int64_t at_ms[8];
	bool is_fate_unknown[8];
	char text[8][100];
};

static enum store_go_on see_attempt(void *arg, const struct store_attempt *t)
{
	struct seen_attempts *s = arg;

	s->at_ms[s->n] = t->at_ms;
	s->is_fate_unknown[s->n] = t->is_fate_unknown;
	(void)snprintf(s->text[s->n++], 100, STR_FMT "+" STR_FMT, STR_ARG(t->ground),
		       STR_ARG(t->evidence));
	return s->n == 8 ? STORE_STOP : STORE_GO_ON;
}

static struct seen_attempts attempts_of(struct rig *r, uint64_t id)
{
	struct seen_attempts s = { 0 };
	struct error e = { 0 };

	ok(store_evidence(rig_reader(r), id, 0, see_attempt, &s, &e), e.text);
	return s;
}

static int64_t count_of(struct rig *r, const char *table)
{
	struct error e = { 0 };
	char text[100];
	int64_t n;

	(void)snprintf(text, sizeof(text), "SELECT count(*) FROM %s", table);
	ok(sql_get_int(rig_reader(r)->db, str_of(text), &n, &e), e.text);
	return n;
}

TEST(evidence_outlives_the_message)
{
	struct rig *r = rig_new(1000);
	uint64_t id = rig_accept(r, one, STR("x"));
	struct store_ground *g = store_ground_new(STR("{\"level\":\"dane\"}"));
	struct store_ground *same = store_ground_new(STR("{\"level\":\"dane\"}"));

	record(r, id, 0, STORE_RETRY_AT, 1, g, "first");
	record(r, id, 0, STORE_RETRY_AT, 1, NULL, "nothing was tried");
	record(r, id, 0, STORE_GONE, 1, same, "second");
	store_ground_unref(g);
	store_ground_unref(same);
	rig_reopen(r);
	struct seen_attempts s = attempts_of(r, id);
	ok(!rig_read(r, id) && s.n == 2 && s.at_ms[0] == 5000, "two attempts");
	ok_str(str_of(s.text[0]), STR("{\"level\":\"dane\"}+first"), "the oldest first");
	ok_str(str_of(s.text[1]), STR("{\"level\":\"dane\"}+second"), "with the same ground");
	ok(s.is_fate_unknown[0] && !s.is_fate_unknown[1], "fate");
	ok(count_of(r, "ground") == 1, "which is kept once");
	rig_free(r);
}

static void record_at(struct rig *r, uint64_t id, int64_t at_ms, struct store_ground *g)
{
	store_record(r->client,
		     &(struct store_record){ .message = id, .at_ms = at_ms, .ground = g }, rig_done,
		     r);
}

TEST(evidence_expires_in_pieces)
{
	struct rig *r = rig_new(1000);
	const int64_t hour = 3600000, from = 100 * hour;
	struct store_ground *old = store_ground_new(STR("old")),
			    *used = store_ground_new(STR("used"));

	for (int i = 0; i < 2300; i++)
		record_at(r, 256, from + i, i % 2 ? old : used);
	record_at(r, 512, from + 50 * hour, used);
	ok(rig_wait(r) == STORE_DONE, r->text);
	store_expire(r->client, from + 1000, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 1000, "those before, and no other");
	ok(count_of(r, "attempt") == 1301 && count_of(r, "ground") == 2, "grounds stay");
	store_expire(r->client, from + 40 * hour, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 1300, "in several pieces");
	ok(count_of(r, "ground") == 1, "a ground that nobody stands on goes");
	ok_str(str_of(attempts_of(r, 512).text[0]), STR("used+"), "one in use stays");
	record_at(r, 768, from + 60 * hour, old);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok_str(str_of(attempts_of(r, 768).text[0]), STR("old+"), "and the other comes again");
	store_ground_unref(old);
	store_ground_unref(used);
	rig_free(r);
}

TEST(names_that_nobody_has_go_in_pieces)
{
	struct rig *r = rig_new(1000);
	const struct store_selection all = { .reach = STORE_ALL };

	for (int i = 0; i < 1100; i++) {
		struct str to = arena_fmt(r->arena, "smtp:d%d.example", i);
		(void)rig_accept_at(r, 1000, &to, 1, STR("x"), STORE_ACCEPT_QUEUED);
	}
	store_change(r->client, STORE_DELETE, &all, 2000, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 1100, r->text);
	(void)rig_accept(r, one, STR("x"));
	ok(count_of(r, "destination") == 1101, "names stay");
	store_expire(r->client, 0, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 0, r->text);
	ok(count_of(r, "destination") == 1, "until evidence expires");
	(void)rig_accept(r, STR("smtp:d7.example"), STR("x"));
	ok(count_of(r, "destination") == 2, "and come again");
	rig_free(r);
}

/* ---- notices ---- */

static struct store_message *finished(struct rig *r, size_t *n)
{
	struct store_message *v;
	struct error e = { 0 };

	ok(store_finished(rig_reader(r), r->arena, 0, 10, &v, n, &e), e.text);
	return v;
}

TEST(a_notice_takes_the_place_of_those_it_names)
{
	struct rig *r = rig_new(2);
	const struct str to[] = { one, two, one };
	uint64_t id = rig_accept_at(r, 1000, to, 3, STR("x"), STORE_ACCEPT_QUEUED);
	static const uint32_t both[] = { 0, 2 };
	size_t n;

	ok(rig_wait(r) == STORE_DONE, r->text);
	record(r, id, 0, STORE_TO_BE_TOLD, 0, NULL, "");
	record(r, id, 2, STORE_TO_BE_TOLD, 0, NULL, "");
	rig_reopen(r); /* a crash here leaves: */
	struct store_message *v = finished(r, &n);
	ok(n == 1 && v->id == id && v->n_rcpts == 2 && v->rcpts[1].index == 2,
	   "what is to be told");
	ok_str(v->rcpts[0].last.reason, deferral.reason, "and why");

	uint64_t bounce = store_client_id(r->client);
	struct store_message m = rig_message(r, bounce, 2000, &two, 1);
	struct store_content *c = rig_content(r, bounce, STR("a notice"));
	const struct store_notice notice = { STORE_NOTICE_FINAL, id, both, 2, &m, c };

	store_bounce(r->client, &notice, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 2, r->text);
	ok(rig_read(r, id)->n_rcpts == 1 && rig_read(r, bounce)->n_rcpts == 1, "both in one");
	ok_str(rig_text(r, bounce), STR("a notice"), "content");
	finished(r, &n);
	ok(n == 0, "all are told");
	store_content_unref(c);

	m.id = store_client_id(r->client);
	c = rig_content(r, m.id, STR("a notice"));
	store_bounce(r->client, &(struct store_notice){ STORE_NOTICE_FINAL, id, both, 2, &m, c },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 0 && !rig_read(r, m.id), "nobody twice");
	store_content_unref(c);
	ok(!rig_has_file(r, m.id), "and its content is dropped");

	static const uint32_t queued[] = { 1 };
	store_bounce(r->client, &(struct store_notice){ STORE_NOTICE_FINAL, id, queued, 1 },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE && rig_read(r, id), "one still to be tried is not removed");
	record(r, id, 1, STORE_TO_BE_TOLD, 0, NULL, "");
	store_bounce(r->client, &(struct store_notice){ STORE_NOTICE_FINAL, id, queued, 1 },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE && !rig_read(r, id), "nobody need be told");
	rig_free(r);
}

TEST(a_delay_is_told_once)
{
	struct rig *r = rig_new(1000);
	uint64_t id = rig_accept(r, one, STR("x"));
	static const uint32_t first[] = { 0 };

	for (int i = 0; i < 2; i++) {
		uint64_t warning = store_client_id(r->client);
		struct store_message m = rig_message(r, warning, 2000, &two, 1);
		struct store_content *c = rig_content(r, warning, STR("delayed"));
		store_bounce(r->client,
			     &(struct store_notice){ STORE_NOTICE_DELAY, id, first, 1, &m, c },
			     rig_done, r);
		ok(rig_wait(r) == STORE_DONE, r->text);
		ok((rig_read(r, warning) != NULL) == (i == 0), "once");
		ok(rig_read(r, id)->rcpts[0].is_warned, "marked");
		store_content_unref(c);
	}
	rig_free(r);
}

TEST(routing_moves_recipients)
{
	struct rig *r = rig_new(1000);
	const struct str to[] = { STR_INIT(""), STR_INIT("") };
	uint64_t id = rig_accept_at(r, 1000, to, 2, STR("x"), STORE_ACCEPT_QUEUED);
	const struct store_move moves[] = { { 0, one }, { 1, two }, { 7, two } };

	store_move(r->client, id, moves, 3, 4000, rig_done, r);
	ok(rig_wait(r) == STORE_DONE && r->changed == 2, "those that are there");
	const struct store_message *m = rig_read(r, id);
	ok_str(m->rcpts[0].destination, one, "one");
	ok_str(m->rcpts[1].destination, two, "two");
	ok(m->rcpts[0].due_ms == 4000, "due");
	rig_free(r);
}

/* ---- opening ---- */

TEST(a_second_process_is_refused)
{
	struct rig *r = rig_new(1000);
	struct error e = { 0 };

	ok(!store_open(&r->options, &e) && e.kind == ERROR_TEMP, e.text);
	rig_free(r);
}

static void *let_go(void *fd)
{
	usleep(100 * 1000);
	(void)close(*(int *)fd);
	return NULL;
}

TEST(a_process_that_is_done_soon_is_waited_for)
{
	struct rig *r = rig_new(1000);
	struct error e = { 0 };
	char path[STORE_PATH_MAX];
	pthread_t thread;

	rig_close_store(r);
	(void)snprintf(path, sizeof(path), "%s/lock", r->directory);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ok(fd >= 0 && flock(fd, LOCK_EX) == 0, "somebody has it");
	r->options.lock_wait_ms = 30;
	ok(!store_open(&r->options, &e) && e.kind == ERROR_TEMP, "for long");
	r->options.lock_wait_ms = 20000;
	ok(pthread_create(&thread, NULL, let_go, &fd) == 0, "a thread");
	rig_open_store(r);
	ok(pthread_join(thread, NULL) == 0, "joined");
	rig_free(r);
}

static void spoil(struct rig *r, const char *sql)
{
	const struct sql_options o = { .access = SQL_WRITE };
	struct error e = { 0 };
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	struct sql *db = sql_open(path, &o, &e);
	ok(db && sql_do_all(db, sql, &e), e.text);
	sql_close(db);
}

static void refused(struct rig *r, enum error_kind kind, const char *words)
{
	struct error e = { 0 };
	size_t at;

	ok(!store_open(&r->options, &e) && e.kind == kind, e.text);
	ok(str_search(error_text(&e), str_of(words), &at), e.text);
	ok(str_search(error_text(&e), str_of(r->directory), &at), "it says where");
	ok(!store_reader_open(r->directory, &e) && e.kind == kind, e.text);
}

TEST(what_is_no_store_of_ours_is_refused)
{
	struct rig *r = rig_new(1000);
	char path[STORE_PATH_MAX];

	rig_close_store(r);
	spoil(r, "PRAGMA user_version = 1000");
	refused(r, ERROR_CONFIG, "newer release");
	spoil(r, "PRAGMA application_id = 1");
	refused(r, ERROR_CONFIG, "not a mail queue");

	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	FILE *f = fopen(path, "w");
	ok(f &&
		   fputs("not a database, but long enough to look at, and some more of it here, "
			 "as the header of a database has a hundred octets",
			 f) > 0 &&
		   fclose(f) == 0,
	   "write");
	refused(r, ERROR_DATA, "not a database");

	ok(unlink(path) == 0, "unlink");
	struct error e = { 0 };
	ok(!store_reader_open(r->directory, &e) && e.kind == ERROR_NO_INPUT, e.text);
	(void)snprintf(path, sizeof(path), "%s/maildrop", r->directory);
	ok(mkdir(path, 0700) == 0, "mkdir");
	ok(!store_open(&r->options, &e) && e.kind == ERROR_CONFIG, "a Postfix queue");
	r->options.directory = "/nonexistent/queue";
	ok(!store_open(&r->options, &e) && e.kind == ERROR_NO_INPUT, e.text);
	rig_free(r);
}

TEST(ids_are_later_than_any_before)
{
	struct rig *r = rig_new(1000);
	uint64_t ahead = (uint64_t)4102444800000000 << 8; /* the clock was wrong: 2100 */
	struct store_message m = rig_message(r, ahead, 1000, &one, 1);
	struct store_content *c = rig_content(r, ahead, STR("x"));

	store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
	store_content_unref(c);
	rig_reopen(r);
	ok(store_client_id(r->client) >> 8 > ahead >> 8, "also when the clock went back");
	rig_free(r);
}

TEST(space)
{
	struct rig *r = rig_new(1000);
	struct store_space s;
	struct error e = { 0 };
	const struct str to[] = { one, two };
	uint64_t id = rig_accept_at(r, 1000, to, 2, STR("x"), STORE_ACCEPT_QUEUED);

	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(store_space(r->store, &s, &e), e.text);
	ok(s.messages == 1 && s.recipients == 2 && s.notes == 0, "counts");
	ok(s.free_octets > 0 && s.database_octets > 0, "octets");
	rig_reopen(r);
	ok(store_space(r->store, &s, &e) && s.messages == 1 && s.recipients == 2, "read again");
	record(r, id, 0, STORE_GONE, 0, NULL, "");
	ok(store_space(r->store, &s, &e) && s.messages == 1 && s.recipients == 1, "one left");
	record(r, id, 1, STORE_GONE, 0, NULL, "");
	ok(store_space(r->store, &s, &e) && s.messages == 0 && s.recipients == 0, "none left");
	rig_free(r);
}

TEST_MAIN(RUN(what_is_accepted_is_there), RUN(content_is_inline_or_a_file),
	  RUN(files_are_for_their_owner), RUN(orphans_are_removed),
	  RUN(a_group_is_one_transaction_and_in_order), RUN(notes_are_done_in_the_order_given),
	  RUN(one_that_cannot_be_fails_alone),
	  RUN(delivered_recipients_go_and_the_message_with_the_last),
	  RUN(deferred_recipients_wait_with_their_reason), RUN(evidence_outlives_the_message),
	  RUN(evidence_expires_in_pieces), RUN(names_that_nobody_has_go_in_pieces),
	  RUN(a_notice_takes_the_place_of_those_it_names), RUN(a_delay_is_told_once),
	  RUN(routing_moves_recipients), RUN(a_second_process_is_refused),
	  RUN(a_process_that_is_done_soon_is_waited_for), RUN(what_is_no_store_of_ours_is_refused),
	  RUN(ids_are_later_than_any_before), RUN(space))
