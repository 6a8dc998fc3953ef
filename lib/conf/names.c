#include "conf/names.h"

static uint32_t *bucket_of(const struct conf_names *t, struct str name)
{
	size_t i = (size_t)str_hash(name) & t->mask;

	while (t->bucket[i] && !str_eq(t->slot[t->bucket[i] - 1].name, name))
		i = (i + 1) & t->mask;
	return &t->bucket[i];
}

static struct conf_slot *append(struct conf_names *t, struct str name)
{
	uint32_t *b = bucket_of(t, name);

	CHECK(*b == 0 && t->n < t->size);
	struct conf_slot *s = &t->slot[t->n++];
	*b = (uint32_t)t->n;
	*s = (struct conf_slot){ .name = name, .kind = CONF_KIND_USER };
	return s;
}

static void add_params(struct conf_names *t)
{
	for (size_t i = 0; i < CONF_COUNT; i++) {
		struct conf_slot *s = append(t, conf_params[i].name);
		s->kind = CONF_KIND_PARAM;
		s->raw = conf_params[i].preset;
		s->effect = conf_params[i].effect;
	}
}

static void add_known(struct conf_names *t)
{
	for (size_t i = 0; i < conf_known_count; i++) {
		struct conf_slot *s = append(t, conf_known_names[i].name);
		s->kind = CONF_KIND_KNOWN;
		s->raw = conf_known_names[i].preset;
		s->effect = conf_known_names[i].effect;
	}
}

void conf_names_init(struct conf_names *t, struct arena *a, size_t extra)
{
	size_t n_buckets = 16;

	t->size = CONF_COUNT + conf_known_count + extra;
	CHECK(t->size < UINT32_MAX / 4);
	while (n_buckets < 2 * t->size)
		n_buckets *= 2;
	t->n = 0;
	t->mask = n_buckets - 1;
	t->slot = ARENA_ARRAY(a, t->size, struct conf_slot);
	t->bucket = ARENA_ARRAY(a, n_buckets, uint32_t);
	add_params(t);
	add_known(t);
}

size_t conf_names_find(const struct conf_names *t, struct str name)
{
	uint32_t b = *bucket_of(t, name);

	return b ? b - 1 : CONF_NO_SLOT;
}

size_t conf_names_add(struct conf_names *t, struct str name)
{
	size_t i = conf_names_find(t, name);

	if (i != CONF_NO_SLOT)
		return i;
	struct conf_slot *s = append(t, name);
	if (conf_is_service_name(name))
		s->kind = CONF_KIND_SERVICE;
	return t->n - 1;
}
