/* Intrusive rings: a link inside what is listed, so that joining and leaving cost no memory. */

#ifndef HOPSEAL_BASE_LIST_H
#define HOPSEAL_BASE_LIST_H

#include "base/base.h"

/* Both the head of a list and a place in one. All zero: a place in no list. */
struct list {
	struct list *prev, *next;
};

/* What holds the link. */
#define LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_in(const struct list *link)
{
	return link->next != NULL;
}

/* At the end of the list. The link must be in none. */
static inline void list_add(struct list *head, struct list *link)
{
	CHECK(!list_is_in(link));
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Out of the list that it is in, if any. */
static inline void list_remove(struct list *link)
{
	if (!list_is_in(link))
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = link->next = NULL;
}

/* In the list or out of it; what is in keeps its place. */
static inline void list_set(struct list *head, struct list *link, bool is_in)
{
	if (!is_in)
		list_remove(link);
	else if (!list_is_in(link))
		list_add(head, link);
}

/* The first link, taken out; NULL when there is none. */
static inline struct list *list_take(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

#endif
