/* Private trust anchors: files of PEM certificates and public keys that alone are trusted. Whether
 * a file can be used is asked like a table; src/tls reads it again for the handshake. */

#include "policy/decide.h"
#include "policy/entry.h"

#define FILES_SHOWN 8 /* in the trace */

static const struct str separators = STR_INIT(", \t\r\n");

static size_t split(struct str list, struct str *out)
{
	size_t n = 0;
	struct str path;

	while (str_token(&list, separators, &path)) {
		if (out)
			out[n] = path;
		n++;
	}
	return n;
}

static bool is_of_entry(const struct policy_work *w)
{
	return w->entry && w->entry->tafiles.n;
}

/* The entry's own files take the place of main.cf's. */
static void choose_files(struct policy_work *w)
{
	struct str list = conf_str(w->cfg->conf, CONF_smtp_tls_trust_anchor_file), *v;

	if (is_of_entry(w)) {
		w->d.trust_files = w->entry->tafiles.v;
		w->d.n_trust_files = w->entry->tafiles.n;
		return;
	}
	w->d.n_trust_files = split(list, NULL);
	if (!w->d.n_trust_files)
		return;
	v = ARENA_ARRAY(w->a, w->d.n_trust_files, struct str);
	split(list, v);
	w->d.trust_files = v;
}

static bool is_good(const struct answer *answer, uint64_t *count)
{
	return answer->status == ANSWER_FOUND && str_to_u64(answer->value, count) && *count > 0;
}

static struct str failure_of(const struct answer *answer)
{
	return answer->failure.n ? answer->failure : STR("no certificate and no public key inside");
}

static void fail_file(struct policy_work *w, struct str path, const struct answer *answer)
{
	struct trace_step *s = policy_trace_add(
		&w->trace, TRACE_RULE, STR("trust-anchor"),
		STR("the trust anchors cannot be used: %; nobody else is trusted in their place, "
		    "the mail waits"),
		failure_of(answer));
	size_t deciding = is_of_entry(w) ? w->d.deciding : w->trace.n - 1;

	if (is_of_entry(w))
		s->key = STR("tafile");
	else
		policy_trace_param(s, w->cfg->conf, CONF_smtp_tls_trust_anchor_file);
	s->value = path;
	policy_fail(w, deciding, STATUS(4, 7, 5), STR("client TLS configuration problem"));
}

static void trace_files(struct policy_work *w)
{
	for (size_t i = 0; i < w->d.n_trust_files && i < FILES_SHOWN; i++) {
		struct str path = w->d.trust_files[i];
		struct trace_step *s =
			policy_trace_add(&w->trace, TRACE_RULE, STR("trust-anchors"),
					 STR("only what % holds is trusted, not the CAs"), path);

		s->key = path;
	}
}

/* Asks for one file after the other; the first that cannot be used ends it. */
enum policy_source policy_trust(struct policy_work *w)
{
	choose_files(w);
	for (size_t i = 0; i < w->d.n_trust_files; i++) {
		struct str path = w->d.trust_files[i];
		const struct answer *answer;
		uint64_t count = 0;

		w->ask = (struct question){ .kind = QUESTION_TRUST_ANCHORS, .name = path };
		answer = fact_find(w->facts, &w->ask);
		if (!answer)
			return SOURCE_ASK;
		if (!is_good(answer, &count)) {
			fail_file(w, path, answer);
			return SOURCE_ERROR;
		}
		w->d.n_trust_anchors += count;
	}
	trace_files(w);
	return SOURCE_LEVEL;
}
