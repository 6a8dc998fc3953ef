#include "conf/findings.h"

#include <limits.h>
#include <stdlib.h>

#include "base/limits.h"

struct conf_finding_item {
	struct conf_finding_item *next;
	struct conf_finding finding;
	unsigned source;
	size_t serial;
};

struct conf_place conf_place_of(const struct conf_slot *s)
{
	/* what no line says comes last */
	return (struct conf_place){ s->file, s->line, s->is_set ? s->source : UINT_MAX };
}

void conf_collector_init(struct conf_collector *c, struct arena *a)
{
	*c = (struct conf_collector){ .arena = a };
	c->tail = &c->head;
}

static struct str copy(struct arena *a, struct str s)
{
	return arena_str(a, s);
}

static struct conf_finding_item *append(struct conf_collector *c)
{
	struct conf_finding_item *item = ARENA_NEW(c->arena, struct conf_finding_item);

	item->serial = c->n++;
	*c->tail = item;
	c->tail = &item->next;
	return item;
}

void conf_collect(struct conf_collector *c, struct conf_place at, const struct conf_finding *what,
		  const char *fmt, ...)
{
	va_list ap;

	c->has_error = c->has_error || what->severity == CONF_ERROR;
	if (c->n >= CONF_FINDINGS_MAX)
		return;
	struct conf_finding_item *item = append(c);
	item->source = at.source;
	item->finding = (struct conf_finding){
		.severity = what->severity,
		.code = copy(c->arena, what->code),
		.param = copy(c->arena, what->param),
		.file = copy(c->arena, at.file),
		.line = at.line,
		.remedy = copy(c->arena, what->remedy),
	};
	va_start(ap, fmt);
	item->finding.text = arena_vfmt(c->arena, fmt, ap);
	va_end(ap);
}

static int by_place(const void *x, const void *y)
{
	const struct conf_finding_item *a = *(const struct conf_finding_item *const *)x;
	const struct conf_finding_item *b = *(const struct conf_finding_item *const *)y;

	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->finding.line != b->finding.line)
		return a->finding.line < b->finding.line ? -1 : 1;
	return a->serial < b->serial ? -1 : 1;
}

struct conf_findings conf_collected(struct conf_collector *c)
{
	struct conf_finding_item **items =
		ARENA_ARRAY(c->arena, c->n + 1, struct conf_finding_item *);
	struct conf_finding *v = ARENA_ARRAY(c->arena, c->n + 1, struct conf_finding);
	size_t n = 0;

	for (struct conf_finding_item *i = c->head; i; i = i->next)
		items[n++] = i;
	if (n)
		qsort(items, n, sizeof(items[0]), by_place);
	for (size_t i = 0; i < n; i++)
		v[i] = items[i]->finding;
	return (struct conf_findings){ v, n };
}
