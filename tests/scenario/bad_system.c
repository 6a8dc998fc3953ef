/* Loaded before the C library: a system that refuses what a test tells it to refuse, while the
 * program runs: memory, threads, descriptors.
 *
 * $BAD_SYSTEM names a file of `struct orders`, which both sides have mapped. Only the program under
 * test is concerned, not those that start it. Memory that the program asks for itself and what
 * libraries ask for are told apart by where the call comes from. */

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))
#define PROGRAM "hopseal"

enum kind { OWN_MEMORY, OTHER_MEMORY, THREAD, EPOLL, RANDOM, ACCEPT, SOCKET, PAIR, EVENT, KINDS };

struct rule {
	uint32_t skip, count; /* calls that are let through first; then this many are refused */
	int32_t error;
	uint32_t calls, hits;
};

struct orders {
	struct rule rules[KINDS];
};

static struct orders none, *orders = &none;
static uintptr_t text_begin, text_end; /* of the program */

static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
			text_begin = info->dlpi_addr + p->p_vaddr;
			text_end = text_begin + p->p_memsz;
		}
	}
	return 1; /* the first is the program */
}

__attribute__((constructor)) static void take_orders(void)
{
	const char *path = getenv("BAD_SYSTEM");
	bool is_meant = path && strcmp(program_invocation_short_name, PROGRAM) == 0;
	int fd = is_meant ? open(path, O_RDWR | O_CLOEXEC) : -1;

	(void)dl_iterate_phdr(find_text, NULL);
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		orders = p;
	if (fd >= 0)
		(void)close(fd);
}

/* Each call is hit once at most, whichever thread makes it. */
static bool is_refused(enum kind kind)
{
	struct rule *r = &orders->rules[kind];

	if (orders == &none)
		return false;
	uint32_t n = __atomic_fetch_add(&r->calls, 1, __ATOMIC_RELAXED);
	uint32_t count = __atomic_load_n(&r->count, __ATOMIC_ACQUIRE);
	if (count == 0 || n < r->skip || n - r->skip >= count)
		return false;
	(void)__atomic_add_fetch(&r->hits, 1, __ATOMIC_RELAXED);
	errno = r->error;
	return true;
}

/* ---- memory ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool is_short(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	return is_refused(at >= text_begin && at < text_end ? OWN_MEMORY : OTHER_MEMORY);
}

SEEN void *malloc(size_t n)
{
	return is_short(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

SEEN void *calloc(size_t n, size_t size)
{
	return is_short(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

SEEN void *realloc(void *p, size_t n)
{
	return is_short(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

/* ---- the rest ---- */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

SEEN int pthread_create(pthread_t *out, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
	return is_refused(THREAD) ? errno : REAL(pthread_create)(out, how, run, arg);
}

SEEN int epoll_create1(int flags)
{
	return is_refused(EPOLL) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

SEEN int epoll_ctl(int epoll, int what, int fd, struct epoll_event *e)
{
	return is_refused(EPOLL) ? -1 : (int)syscall(SYS_epoll_ctl, epoll, what, fd, e);
}

SEEN ssize_t getrandom(void *p, size_t n, unsigned flags)
{
	return is_refused(RANDOM) ? -1 : syscall(SYS_getrandom, p, n, flags);
}

SEEN int accept4(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	return is_refused(ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, from, n, flags);
}

SEEN int socket(int family, int type, int protocol)
{
	return is_refused(SOCKET) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

SEEN int socketpair(int family, int type, int protocol, int out[2])
{
	return is_refused(PAIR) ? -1 : (int)syscall(SYS_socketpair, family, type, protocol, out);
}

SEEN int pipe2(int out[2], int flags)
{
	return is_refused(PAIR) ? -1 : (int)syscall(SYS_pipe2, out, flags);
}

SEEN int eventfd(unsigned value, int flags)
{
	return is_refused(EVENT) ? -1 : (int)syscall(SYS_eventfd2, value, flags);
}
