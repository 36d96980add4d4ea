/* A doubly linked list whose links live inside the things listed. Control thread only. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(l, type, member) ((type *)(void *)((char *)(l)-offsetof(type, member)))
#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* Safe against removal of the current element. */
#define list_for_each_safe(it, head)                                                                \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

static inline void list_init(struct list *h)
{
	h->next = h->prev = h;
}

static inline bool list_empty(const struct list *h)
{
	return h->next == h;
}

static inline void list_push_back(struct list *h, struct list *l)
{
	l->prev = h->prev;
	l->next = h;
	h->prev->next = l;
	h->prev = l;
}

static inline void list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#endif
