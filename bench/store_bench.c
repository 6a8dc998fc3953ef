/* What the durable queue costs, in a directory that must not exist yet and is removed; or one that
 * stays, for a daemon to be started on (bench/deferred):
 *
 *	store_bench DIRECTORY cycle GROUP MESSAGES SIZE [LIMIT]
 *		accept and, once that is answered, record the delivery; GROUP messages at a time
 *	store_bench DIRECTORY deferred MESSAGES SIZE DESTINATIONS
 *		fill the queue, defer everything, open it again, read what a start reads
 *
 *	store_bench DIRECTORY fill MESSAGES SIZE DESTINATIONS DOMAIN RECIPIENTS DUE
 *		add messages of so many recipients each at DOMAIN, or at d0.DOMAIN, d1.DOMAIN ...;
 *		they were deferred once and are due in DUE to two times DUE seconds; 0: they are new
 *
 * LIMIT is the inline limit, as large as SIZE unless given. */

#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store.h"

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const struct error *e)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, e ? e->text : "");
	exit(1);
}

enum verdict { DELIVER, DEFER, LEAVE };

struct bench {
	struct store_options options;
	struct store *store;
	struct net_loop *loop;
	struct store_client *client;
	struct store_ground *ground;
	char *octets;
	size_t size, n_destinations, n_rcpts;
	const char *domain; /* fill */
	int64_t due_s;
	enum verdict verdict;
	long n_begun, n_done, n_all;
};

/* One message on its way. */
struct message {
	struct bench *b;
	uint64_t id;
};

static void open_store(struct bench *b)
{
	struct error e = { 0 };

	b->store = store_open(&b->options, &e);
	if (!b->store)
		die("opening", &e);
	b->client = store_client_new(b->store, b->loop, &e);
	if (!b->client)
		die("opening", &e);
}

static void close_store(struct bench *b)
{
	store_client_free(b->client);
	store_close(b->store);
}

static void begin(struct message *m);

static void check(const struct store_result *r)
{
	if (r->fault != STORE_DONE) {
		fprintf(stderr, "store_bench: " STR_FMT "\n", STR_ARG(r->text));
		exit(1);
	}
}

static void recorded(void *arg, const struct store_result *r)
{
	struct message *m = arg;

	check(r);
	m->b->n_done++;
	begin(m);
}

static int64_t due_ms(const struct bench *b)
{
	return b->due_s == 0 ? 1780000300000 + b->n_done % 4000
			     : (int64_t)time(NULL) * 1000 + b->due_s * 1000 +
				       b->n_done * 7919 % (b->due_s * 1000);
}

static void accepted(void *arg, const struct store_result *r)
{
	static const char evidence[] =
		"{\"rcpts\":[{\"address\":\"user12345@example.com\",\"outcome\":\"delivered\","
		"\"status\":\"2.0.0\",\"reply\":\"250 2.0.0 Ok: queued as 4XyZabcdefg\"}],"
		"\"times\":{\"connect\":0,\"tls\":0,\"total\":12}}";
	struct message *m = arg;
	struct bench *b = m->b;
	struct store_rcpt_record *rcpts = calloc(b->n_rcpts, sizeof(*rcpts));
	const struct store_rcpt_record rcpt = {
		.verdict = b->verdict == DELIVER ? STORE_GONE : STORE_RETRY_AT,
		.due_ms = due_ms(b),
		.outcome = { .kind = OUTCOME_DEFERRED,
			     .status = STATUS(4, 4, 1),
			     .reason = STR("connect to mx.example.com[192.0.2.1]:25: Connection "
					   "timed out"),
			     .remote_host = STR("mx.example.com") },
	};

	check(r);
	if (b->verdict == LEAVE) {
		free(rcpts);
		b->n_done++;
		begin(m);
		return;
	}
	for (size_t i = 0; i < b->n_rcpts; i++) {
		rcpts[i] = rcpt;
		rcpts[i].index = (uint32_t)i;
	}
	store_record(b->client,
		     &(struct store_record){ .message = m->id,
					     .at_ms = 1780000000000,
					     .rcpts = rcpts,
					     .n_rcpts = b->n_rcpts,
					     .ground = b->ground,
					     .evidence = str_of(evidence) },
		     recorded, m);
	free(rcpts);
}

static struct store_content *content(struct bench *b, uint64_t id)
{
	struct store_spool *s = store_spool_new(b->client, id);
	struct error e = { 0 };

	for (size_t at = 0; at < b->size; at += 16384)
		if (!store_spool_add(s, str_first(str_span(b->octets + at, b->size - at), 16384),
				     &e))
			die("spool", &e);
	struct store_content *c = store_spool_finish(s, &e);
	if (!c)
		die("spool", &e);
	return c;
}

/* Domain of a message. */
static void name_domain(const struct bench *b, size_t i, char *out, size_t size)
{
	if (!b->domain)
		(void)snprintf(out, size, "dest%zu.example.com", i * 7919 % b->n_destinations);
	else if (b->n_destinations == 1)
		(void)snprintf(out, size, "%s", b->domain);
	else
		(void)snprintf(out, size, "d%zu.%s", i * 7919 % b->n_destinations, b->domain);
}

static void begin(struct message *m)
{
	struct bench *b = m->b;
	char domain[200], name[220];

	if (b->n_begun == b->n_all)
		return;
	name_domain(b, (size_t)b->n_begun++, domain, sizeof(domain));
	(void)snprintf(name, sizeof(name), "smtp:%s", domain);
	m->id = store_client_id(b->client);
	struct arena *a = arena_new();
	struct store_rcpt *rcpts = ARENA_ARRAY(a, b->n_rcpts, struct store_rcpt);
	for (size_t i = 0; i < b->n_rcpts; i++) {
		rcpts[i].destination = str_of(name);
		rcpts[i].address = arena_fmt(a, "user%zu@%s", 12345 + i, domain);
	}
	const struct store_message message = {
		.id = m->id,
		.arrived_ms = store_id_ms(m->id),
		.sender = STR("bounces+12345@sender.example"),
		.client = STR("{\"address\":\"192.0.2.1\",\"helo\":\"app.example\","
			      "\"tls\":\"TLSv1.3\"}"),
		.rcpts = rcpts,
		.n_rcpts = b->n_rcpts,
	};
	struct store_content *c = content(b, m->id);
	store_accept(b->client, &message, c, STORE_ACCEPT_QUEUED, accepted, m);
	store_content_unref(c);
	arena_free(a);
}

static void run(struct bench *b, const char *what, size_t group, long n)
{
	struct message *v = calloc(group, sizeof(*v));
	double t = now_s(), c = cpu_s();

	b->n_begun = b->n_done = 0;
	b->n_all = n;
	for (size_t i = 0; i < group; i++) {
		v[i].b = b;
		begin(&v[i]);
	}
	net_loop_run(b->loop);
	if (b->n_done != n)
		die("not all were done", NULL);
	t = now_s() - t;
	c = cpu_s() - c;
	printf("%s: %ld messages of %zu octets, %zu at a time: %.0f a second, %.1f us CPU each\n",
	       what, n, b->size, group, (double)n / t, c * 1e6 / (double)n);
	free(v);
}

static void sizes(struct bench *b)
{
	struct store_space s;
	struct error e = { 0 };

	if (!store_space(b->store, &s, &e))
		die("space", &e);
	printf("\t%.1f MB of database, %.1f MB of it free; %llu messages, %llu recipients\n",
	       (double)s.database_octets / 1e6, (double)s.reusable_octets / 1e6,
	       (unsigned long long)s.messages, (unsigned long long)s.recipients);
}

static void count(void *arg, const struct store_destination *d)
{
	uint64_t *n = arg;

	n[0]++;
	n[1] += d->n_queued;
}

static void restart(struct bench *b)
{
	struct arena *a = arena_new();
	struct store_due due;
	struct error e = { 0 };
	uint64_t n[2] = { 0, 0 };
	double t = now_s(), c = cpu_s();

	open_store(b);
	printf("opened in %.3f s, %.3f s CPU\n", now_s() - t, cpu_s() - c);
	t = now_s();
	c = cpu_s();
	if (!store_destinations(store_client_reader(b->client), count, n, &e))
		die("destinations", &e);
	printf("%llu destinations with %llu recipients read in %.3f s, %.3f s CPU\n",
	       (unsigned long long)n[0], (unsigned long long)n[1], now_s() - t, cpu_s() - c);
	t = now_s();
	if (!store_due(store_client_reader(b->client), a, STR("smtp:dest0.example.com"), INT64_MAX,
		       &(struct store_due_place){ 0 }, 1000, &due, &e))
		die("due", &e);
	printf("the first %zu of one destination read in %.1f ms\n", due.n_rcpts,
	       (now_s() - t) * 1e3);
	arena_free(a);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	return remove(path);
}

/* A decision with its facts and trace has some 3 KB. */
static struct store_ground *ground(void)
{
	static char text[3000];

	memset(text, 'g', sizeof(text));
	return store_ground_new(str_span(text, sizeof(text)));
}

/* A daemon is to send it. */
static void write_octets(struct bench *b)
{
	static const char line[] = "A line of some text that is as long as lines of mail are.\r\n";
	static const char head[] = "From: a@sender.example\r\nSubject: bench\r\n\r\n";

	for (size_t i = 0; i < b->size; i++)
		b->octets[i] = i < sizeof(head) - 1 ? head[i] : line[i % (sizeof(line) - 1)];
	if (b->size > 2)
		memcpy(b->octets + b->size - 2, "\r\n", 2);
}

static int fill(struct bench *b, char **argv)
{
	b->n_destinations = (size_t)atol(argv[5]);
	b->domain = argv[6];
	b->n_rcpts = (size_t)atol(argv[7]);
	b->due_s = atol(argv[8]);
	b->verdict = b->due_s == 0 ? LEAVE : DEFER;
	write_octets(b);
	open_store(b);
	run(b, "filled", 256, atol(argv[3]));
	sizes(b);
	close_store(b);
	return 0;
}

int main(int argc, char **argv)
{
	bool is_fill = argc == 9 && strcmp(argv[2], "fill") == 0;
	bool is_cycle = argc >= 6 && strcmp(argv[2], "cycle") == 0;
	struct stat st;

	if (!is_fill && ((!is_cycle && (argc < 6 || strcmp(argv[2], "deferred") != 0)) ||
			 stat(argv[1], &st) == 0)) {
		fprintf(stderr, "usage: see bench/store_bench.c; the directory must be new\n");
		return 64;
	}
	struct bench b = {
		.loop = net_loop_new(), .ground = ground(), .n_destinations = 1, .n_rcpts = 1
	};
	b.size = (size_t)atol(argv[is_cycle ? 5 : 4]);
	b.octets = calloc(1, b.size + 1);
	b.options = (struct store_options){ .directory = argv[1],
					    .inline_limit = b.size,
					    .is_checked = true };
	if (is_cycle && argc > 6)
		b.options.inline_limit = (size_t)atol(argv[6]);
	if (is_fill)
		return fill(&b, argv);
	open_store(&b);
	if (is_cycle) {
		run(&b, "accept and record", (size_t)atol(argv[3]), atol(argv[4]));
	} else {
		b.n_destinations = (size_t)atol(argv[5]);
		b.verdict = DEFER;
		run(&b, "accept and defer", 256, atol(argv[3]));
		sizes(&b);
		close_store(&b);
		restart(&b);
	}
	sizes(&b);
	close_store(&b);
	net_loop_free(b.loop);
	store_ground_unref(b.ground);
	free(b.octets);
	return nftw(argv[1], remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
