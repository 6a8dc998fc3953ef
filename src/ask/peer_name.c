#include "ask/peer_name.h"

#include <stdlib.h>

#include "mail/domain.h"

struct ask_peer_name {
	struct ask *ask;
	struct arena *arena;
	struct address client;
	struct str name;
	struct ask_query *query;
	void (*answered)(void *arg, struct str name, bool is_in_doubt);
	void *arg;
};

static void tell(struct ask_peer_name *p, struct str name, bool is_in_doubt)
{
	p->answered(p->arg, name, is_in_doubt); /* may free p */
}

static bool has_address(const struct answer *answer, const struct address *client)
{
	for (size_t i = 0; i < answer->n_addresses; i++)
		if (address_eq(&answer->addresses[i], client))
			return true;
	return false;
}

static void on_addresses(void *arg, const struct answer *answer)
{
	struct ask_peer_name *p = arg;
	bool is_its_own = has_address(answer, &p->client);
	bool has_failed = answer->family[p->client.family].status == ANSWER_FAILED ||
			  answer->status == ANSWER_FAILED;

	p->query = NULL;
	tell(p, is_its_own ? p->name : STR(""), !is_its_own && has_failed);
}

/* What looks like an address would be taken for one. */
static bool is_name(struct str name)
{
	struct address address;

	return domain_is_hostname(name) && !address_parse(name, &address);
}

static void on_pointer(void *arg, const struct answer *answer)
{
	struct ask_peer_name *p = arg;
	struct question q = { .kind = QUESTION_ADDRESS };

	p->query = NULL;
	if (answer->status != ANSWER_FOUND || !is_name(answer->value)) {
		tell(p, STR(""), answer->status == ANSWER_FAILED);
		return;
	}
	p->name = domain_fold(p->arena, arena_str(p->arena, answer->value));
	q.name = p->name;
	p->query = ask_question(p->ask, &q, on_addresses, p);
}

struct ask_peer_name *
ask_peer_name_new(struct ask *k, const struct address *client,
		  void (*answered)(void *arg, struct str name, bool is_in_doubt), void *arg)
{
	struct ask_peer_name *p = base_alloc(sizeof(*p));
	struct question q = { .kind = QUESTION_POINTER };

	p->ask = k;
	p->arena = arena_new();
	p->client = *client;
	p->answered = answered;
	p->arg = arg;
	q.name = address_text(p->arena, client);
	p->query = ask_question(k, &q, on_pointer, p);
	return p;
}

void ask_peer_name_free(struct ask_peer_name *p)
{
	if (!p)
		return;
	if (p->query)
		ask_cancel(p->query);
	arena_free(p->arena);
	free(p);
}
