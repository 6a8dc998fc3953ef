#include "dns/dns.h"

#include <pthread.h>

#include "base/test.h"
#include "dns/dns_fake.h"

struct fixture {
	struct dns_fake server;
	struct net_loop *loop;
	struct dns *dns;
	struct arena *a;
	struct answer answers[16];
	size_t n, wanted;
	struct dns_query *victim; /* cancelled by the first answer */
	bool frees;               /* the first answer frees the resolver */
};

static struct fixture *fixture_new(uint64_t timeout_ms)
{
	struct fixture *f = base_alloc(sizeof(*f));

	dns_fake_start(&f->server);
	f->loop = net_loop_new();
	f->dns = dns_fake_resolver(&f->server, f->loop, timeout_ms);
	f->a = arena_new();
	return f;
}

static void fixture_free(struct fixture *f)
{
	dns_free(f->dns);
	net_loop_free(f->loop);
	dns_fake_stop(&f->server);
	arena_free(f->a);
	free(f);
}

static void answered(void *arg, const struct answer *answer)
{
	struct fixture *f = arg;

	f->answers[f->n++] = answer_copy(f->a, answer);
	if (f->victim)
		dns_cancel(f->victim);
	f->victim = NULL;
	if (f->frees)
		dns_free(f->dns);
	if (f->frees)
		f->dns = NULL;
}

static struct dns_query *ask(struct fixture *f, enum question_kind kind, const char *name)
{
	struct question q = { .kind = kind, .name = str_of(name) };

	return dns_ask(f->dns, &q, answered, f);
}

/* The loop ends by itself when nothing is asked any more. */
static struct answer ask_one(struct fixture *f, enum question_kind kind, const char *name)
{
	size_t n = f->n;

	ok(ask(f, kind, name) && f->n == n, "no call from inside");
	net_loop_run(f->loop);
	ok(f->n == n + 1, name);
	return f->answers[n];
}

TEST(answers)
{
	struct fixture *f = fixture_new(5000);
	struct answer answer = ask_one(f, QUESTION_MX, "example.com");

	ok(answer.status == ANSWER_FOUND && answer.n_mx == 1, "MX");
	ok_str(answer.mx[0].host, STR("mx.example"), "lower case");
	ok(answer.dnssec == DNSSEC_UNCHECKED && answer.ttl > 0 && answer.ttl <= 60, "TTL");
	answer = ask_one(f, QUESTION_ADDRESS, "h.example.com");
	ok(answer.status == ANSWER_FOUND && answer.n_addresses == 2, "both families");
	ok(answer.addresses[0].family == ADDRESS_V4, "IPv4 first");
	answer = ask_one(f, QUESTION_ADDRESS, "v6only.example.com");
	ok(answer.n_addresses == 1 && answer.family[ADDRESS_V4].status == ANSWER_NONE,
	   "one family");
	answer = ask_one(f, QUESTION_MX, "nx.example.com");
	ok(answer.status == ANSWER_NONE && answer.is_nxdomain, "NXDOMAIN");
	fixture_free(f);
}

TEST(failures)
{
	struct fixture *f = fixture_new(300);
	struct answer answer = ask_one(f, QUESTION_MX, "fail.example.com");

	ok(answer.status == ANSWER_FAILED && answer.failure.n, "SERVFAIL");
	answer = ask_one(f, QUESTION_ADDRESS, "refuse.example.com");
	ok(answer.status == ANSWER_FAILED && answer.failure.n, "REFUSED");
	answer = ask_one(f, QUESTION_MX, "drop.example.com");
	ok_str(answer.failure, STR("no answer within 300 ms"), "silence");
	answer = ask_one(f, QUESTION_ADDRESS, "drop.example.com");
	ok(answer.status == ANSWER_FAILED && answer.family[ADDRESS_V4].is_asked, "both silent");
	answer = ask_one(f, QUESTION_MX, "");
	ok(answer.status == ANSWER_FAILED, "no name");
	answer = ask_one(f, QUESTION_MX, "a..b");
	ok(answer.status == ANSWER_FAILED, "no domain name");
	fixture_free(f);
}

TEST(many_at_once)
{
	struct fixture *f = fixture_new(5000);

	for (int i = 0; i < 16; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d.example.com", i);
		ok(ask(f, i % 2 ? QUESTION_MX : QUESTION_ADDRESS, name), "asked");
	}
	net_loop_run(f->loop);
	ok(f->n == 16, "all are answered");
	for (size_t i = 0; i < f->n; i++)
		ok(f->answers[i].status == ANSWER_FOUND, "found");
	fixture_free(f);
}

TEST(cancelled_means_no_call)
{
	struct fixture *f = fixture_new(300);

	dns_cancel(ask(f, QUESTION_MX, "drop.example.com"));
	dns_cancel(ask(f, QUESTION_MX, "example.com"));
	dns_cancel(ask(f, QUESTION_NATIVE, "localhost"));
	net_loop_run(f->loop);
	ok(f->n == 0, "none");
	f->victim = ask(f, QUESTION_MX, "drop.example.com");
	ok(ask_one(f, QUESTION_MX, "example.com").status == ANSWER_FOUND, "the other one");
	net_loop_run(f->loop);
	ok(f->n == 1, "cancelled from inside a call");
	fixture_free(f);
}

TEST(freed_from_inside_a_call)
{
	struct fixture *f = fixture_new(5000);

	for (int i = 0; i < 4; i++)
		ok(ask(f, QUESTION_MX, "example.com"), "asked");
	f->frees = true;
	net_loop_run(f->loop);
	ok(f->n == 1, "the others are forgotten");
	fixture_free(f);
}

TEST(native)
{
	struct fixture *f = fixture_new(5000);
	struct answer answer = ask_one(f, QUESTION_NATIVE, "localhost");

	ok(answer.status == ANSWER_FOUND && answer.n_addresses > 0, "the hosts file");
	ok(answer.dnssec == DNSSEC_UNCHECKED && f->server.n_questions == 0, "not from DNS");
	answer = ask_one(f, QUESTION_NATIVE, "192.0.2.7");
	ok(answer.n_addresses == 1 && answer.addresses[0].octets[3] == 7, "an address is itself");
	fixture_free(f);
}

static const struct {
	const char *rule, *server, *says;
} bad[] = {
	{ "no address", "resolver.example", "want ADDRESS" },
	{ "no port", "127.0.0.1@", "want ADDRESS" },
	{ "port", "127.0.0.1@65536", "want ADDRESS" },
	{ "colon", "127.0.0.1:53", "want ADDRESS" },
};

TEST(bad_options_are_told)
{
	struct net_loop *l = net_loop_new();

	FOR_EACH(c, bad) {
		struct str server = str_of(c->server);
		struct dns_options forward = { .servers = &server, .n_servers = 1 };
		struct dns_options root = { .root_servers = &server, .n_root_servers = 1 };
		struct error e = { 0 };
		ok(!dns_new(l, &forward, &e) && strstr(e.text, c->says), c->rule);
		ok(!dns_new(l, &root, &e) && strstr(e.text, c->server), c->rule);
	}
	net_loop_free(l);
}

static void *make_and_free(void *arg)
{
	struct net_loop *l = net_loop_new();
	struct error e;

	for (int i = 0; i < 20; i++) {
		struct dns *d = dns_new(l, arg, &e);
		CHECK(d);
		dns_free(d);
	}
	net_loop_free(l);
	return NULL;
}

/* As workers do when they are told to reload. */
TEST(made_and_freed_in_several_threads)
{
	struct str server = STR("127.0.0.1@1");
	struct dns_options o = { .root_servers = &server, .n_root_servers = 1 };
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, make_and_free, &o) == 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	ok(true, "none stood in another's way");
}

TEST_MAIN(RUN(answers), RUN(failures), RUN(many_at_once), RUN(cancelled_means_no_call),
	  RUN(freed_from_inside_a_call), RUN(native), RUN(bad_options_are_told),
	  RUN(made_and_freed_in_several_threads))
