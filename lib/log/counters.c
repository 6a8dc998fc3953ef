#include "log/counters.h"

static const struct {
	struct str name, prose;
} counters[] = {
#define COUNTER(name, prose) { STR_INIT(#name), STR_INIT(prose) },
#include "log/counters.def"
#undef COUNTER
};

static const struct {
	struct str name, label, prose;
} families[] = {
#define FAMILY(name, label, prose) { STR_INIT(#name), STR_INIT(#label), STR_INIT(prose) },
#define VALUE(...)
#include "log/families.def"
#undef FAMILY
#undef VALUE
};

static const struct {
	struct str value;
	enum log_family family;
} kinds[] = {
#define FAMILY(...)
#define VALUE(name, family, value) { STR_INIT(value), FAMILY_##family },
#include "log/families.def"
#undef FAMILY
#undef VALUE
};

enum scale { SCALE_DELAY, SCALE_HANDSHAKE };

static const struct {
	struct str name, prose;
	enum scale scale;
} histograms[] = {
#define HISTOGRAM(name, scale, prose) { STR_INIT(#name), STR_INIT(prose), SCALE_##scale },
#include "log/histograms.def"
#undef HISTOGRAM
};

/* Milliseconds. Delays go on beyond a day; whoever waits longer for a handshake has timed out. */
static const uint64_t bounds[][HISTOGRAM_BUCKETS - 1] = {
	[SCALE_DELAY] = { 100, 300, 1000, 3000, 10000, 30000, 100000, 600000, 3600000, 14400000,
			  86400000 },
	[SCALE_HANDSHAKE] = { 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000 },
};

struct str counter_name(enum log_counter id)
{
	return counters[id].name;
}

struct str counter_prose(enum log_counter id)
{
	return counters[id].prose;
}

struct str counter_family_name(enum log_family id)
{
	return families[id].name;
}

struct str counter_family_label(enum log_family id)
{
	return families[id].label;
}

struct str counter_family_prose(enum log_family id)
{
	return families[id].prose;
}

enum log_family counter_kind_family(enum log_kind id)
{
	return kinds[id].family;
}

struct str counter_kind_value(enum log_kind id)
{
	return kinds[id].value;
}

struct str histogram_name(enum log_histogram id)
{
	return histograms[id].name;
}

struct str histogram_prose(enum log_histogram id)
{
	return histograms[id].prose;
}

uint64_t histogram_bound_ms(enum log_histogram id, size_t i)
{
	CHECK(i < HISTOGRAM_BUCKETS - 1);
	return bounds[histograms[id].scale][i];
}

static void owned_add(_Atomic uint64_t *v, uint64_t n)
{
	uint64_t old = atomic_load_explicit(v, memory_order_relaxed);

	atomic_store_explicit(v, old + n, memory_order_relaxed);
}

void counter_kind_add(struct log_counters *c, enum log_kind id, uint64_t n)
{
	owned_add(&c->kinds[id], n);
}

uint64_t counter_kind_read(const struct log_counters *c, enum log_kind id)
{
	return atomic_load_explicit(&c->kinds[id], memory_order_relaxed);
}

void histogram_add(struct log_counters *c, enum log_histogram id, uint64_t ms)
{
	size_t i = 0;

	while (i < HISTOGRAM_BUCKETS - 1 && ms > histogram_bound_ms(id, i))
		i++;
	owned_add(&c->measured[id].bucket[i], 1);
	owned_add(&c->measured[id].sum_ms, ms);
}

void histogram_read(const struct log_counters *c, enum log_histogram id, struct histogram_sum *sum)
{
	const struct log_measured *m = &c->measured[id];

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = atomic_load_explicit(&m->bucket[i], memory_order_relaxed);
		sum->bucket[i] += n;
		sum->count += n;
	}
	sum->sum_ms += atomic_load_explicit(&m->sum_ms, memory_order_relaxed);
}
