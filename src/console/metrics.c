/* HTTP for monitors, by libmicrohttpd: /metrics, /healthz, /readyz. The library has no thread of
 * its own: its epoll descriptor is watched by the loop, and a request that waits for figures is
 * suspended meanwhile. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "console/room.h"

enum { METRICS_TIMEOUT_S = 10, METRICS_AGE_MS = 1000 };

enum page_kind { PAGE_METRICS, PAGE_HEALTH, PAGE_READY, PAGE_NONE };

/* What is asked for a page, and how long anybody waits for it. Prometheus waits 10 s. */
static const struct {
	unsigned parts;
	unsigned wait_ms;
} pages[] = {
	[PAGE_METRICS] = { GATHER_TOTALS | GATHER_LOOK, 9000 },
	[PAGE_HEALTH] = { GATHER_WRITE, 3000 },
	[PAGE_READY] = { GATHER_PROBE | GATHER_LOOK, 3000 },
};

/* Figures are gathered once for all who ask meanwhile: strangers, however many and however often,
 * make no more work than one at a time; and the page of metrics, for which the queue is counted, is
 * kept for METRICS_AGE_MS. */
struct page {
	struct metrics *metrics;
	enum page_kind kind;
	struct gather *gather; /* NULL: nobody has asked */
	struct net_timer *late;
	bool is_late; /* who waited was told so */
	struct buf kept;
	uint64_t kept_at; /* 0: nothing is kept */
};

struct metrics {
	struct console *console;
	struct MHD_Daemon *http;
	struct net_watch *watch;
	struct net_timer *timer;
	struct list requests;
	struct page pages[PAGE_NONE];
	bool is_closing;
};

struct request {
	struct list link;
	struct metrics *metrics;
	struct MHD_Connection *connection;
	enum page_kind page;
	bool is_asked, is_suspended;
	unsigned status;
	struct buf body;
};

/* ---- the library's turn ---- */

static void metrics_run(void *arg)
{
	struct metrics *m = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(m->http);
	if (MHD_get_timeout(m->http, &ms) == MHD_YES)
		net_timer_set(m->timer, net_loop_now(m->console->loop) + ms);
	else
		net_timer_stop(m->timer);
}

/* ---- answers ---- */

static void request_resume(struct request *r)
{
	struct metrics *m = r->metrics;

	if (r->is_suspended)
		MHD_resume_connection(r->connection);
	r->is_suspended = false;
	net_timer_set(m->timer, 0);
}

static void say(struct request *r, unsigned status, struct str text)
{
	r->status = status;
	buf_reset(&r->body);
	CHECK(buf_add(&r->body, text) && buf_add_char(&r->body, '\n'));
}

static void say_late(struct request *r, const struct page *p)
{
	bool is_store = gather_owed(p->gather) & ~(unsigned)GATHER_LOOK;

	say(r, MHD_HTTP_SERVICE_UNAVAILABLE,
	    is_store ? STR("the store does not answer") : STR("a worker does not answer"));
}

static void say_figures(struct request *r, const struct console_figures *f)
{
	if (r->page == PAGE_HEALTH) /* the writer has answered: a new process would do no better */
		say(r, MHD_HTTP_OK, STR("ok"));
	else if (f->e.kind != ERROR_NONE)
		say(r, MHD_HTTP_SERVICE_UNAVAILABLE, error_text(&f->e));
	else if (f->write != STORE_DONE)
		say(r, MHD_HTTP_SERVICE_UNAVAILABLE, store_fault_name(f->write));
	else if (r->page != PAGE_METRICS)
		say(r, MHD_HTTP_OK, STR("ok"));
	else if (metrics_page(&r->body, r->metrics->console, f))
		r->status = MHD_HTTP_OK;
	else
		say(r, MHD_HTTP_INTERNAL_SERVER_ERROR, STR("the page is too long"));
}

static void page_keep(struct page *p, const struct console_figures *f)
{
	struct console *c = p->metrics->console;

	buf_reset(&p->kept);
	p->kept_at = 0;
	if (p->kind == PAGE_METRICS && f->e.kind == ERROR_NONE && f->write == STORE_DONE &&
	    metrics_page(&p->kept, c, f))
		p->kept_at = net_loop_now(c->loop);
}

static bool page_is_fresh(const struct page *p)
{
	return p->kept_at > 0 &&
	       net_loop_now(p->metrics->console->loop) - p->kept_at < METRICS_AGE_MS;
}

/* NULL: they come too late. */
static void page_answer(struct page *p, const struct console_figures *f)
{
	struct list *all = &p->metrics->requests;

	for (struct list *l = all->next; l != all; l = l->next) {
		struct request *r = LIST_OF(l, struct request, link);
		if (r->page != p->kind || !r->is_suspended)
			continue;
		if (f)
			say_figures(r, f);
		else
			say_late(r, p);
		request_resume(r);
	}
}

static void page_gathered(void *arg, const struct console_figures *f)
{
	struct page *p = arg;

	p->gather = NULL;
	p->is_late = false;
	net_timer_stop(p->late);
	page_keep(p, f);
	page_answer(p, f);
}

static void page_late(void *arg)
{
	struct page *p = arg;

	p->is_late = true;
	page_answer(p, NULL);
}

static void page_ask(struct page *p)
{
	struct console *c = p->metrics->console;

	if (p->gather)
		return;
	p->gather = gather_new(c, pages[p->kind].parts, CONSOLE_LOOK_TOTALS, page_gathered, p);
	net_timer_set(p->late, net_loop_now(c->loop) + pages[p->kind].wait_ms);
}

static void request_ask(struct request *r)
{
	struct page *p = &r->metrics->pages[r->page];

	r->is_asked = true;
	if (r->metrics->is_closing) {
		say(r, MHD_HTTP_SERVICE_UNAVAILABLE, STR("stopping"));
	} else if (r->page == PAGE_NONE) {
		say(r, MHD_HTTP_NOT_FOUND, STR("/metrics, /healthz, /readyz"));
	} else if (p->is_late) {
		say_late(r, p);
	} else if (page_is_fresh(p)) {
		r->status = MHD_HTTP_OK;
		CHECK(buf_add(&r->body, buf_str(&p->kept)));
	} else {
		page_ask(p);
		r->is_suspended = true;
		MHD_suspend_connection(r->connection);
	}
}

static enum MHD_Result
send_body(struct MHD_Connection *connection, unsigned status, struct str body, const char *type)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p,
						MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- requests ---- */

static enum page_kind page_of(const char *url)
{
	if (strcmp(url, "/metrics") == 0)
		return PAGE_METRICS;
	if (strcmp(url, "/healthz") == 0)
		return PAGE_HEALTH;
	return strcmp(url, "/readyz") == 0 ? PAGE_READY : PAGE_NONE;
}

static struct request *
request_new(struct metrics *m, struct MHD_Connection *connection, const char *url)
{
	struct request *r = base_alloc(sizeof(*r));

	r->metrics = m;
	r->connection = connection;
	r->page = page_of(url);
	buf_init(&r->body, METRICS_TEXT_MAX);
	list_add(&m->requests, &r->link);
	return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct request *r = *context;

	(void)version;
	(void)upload;
	if (!r) {
		*context = request_new(arg, connection, url);
		return MHD_YES;
	}
	if (*upload_size > 0) { /* not looked at */
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_body(connection, MHD_HTTP_METHOD_NOT_ALLOWED, STR("GET\n"),
				 "text/plain");
	if (!r->is_asked) {
		request_ask(r);
		if (r->is_suspended)
			return MHD_YES;
	}
	return send_body(connection, r->status, buf_str(&r->body),
			 r->page == PAGE_METRICS && r->status == MHD_HTTP_OK
				 ? "text/plain; version=0.0.4; charset=utf-8"
				 : "text/plain; charset=utf-8");
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct request *r = *context;

	(void)arg;
	(void)connection;
	(void)why;
	if (!r)
		return;
	list_remove(&r->link);
	buf_fini(&r->body);
	free(r);
	*context = NULL;
}

/* ---- the server ---- */

static struct MHD_Daemon *http_start(struct metrics *m, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
				m, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned)METRICS_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				(unsigned)METRICS_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
				on_completed, m, MHD_OPTION_END);
}

static void pages_init(struct metrics *m)
{
	for (int i = 0; i < PAGE_NONE; i++) {
		struct page *p = &m->pages[i];
		p->metrics = m;
		p->kind = (enum page_kind)i;
		p->late = net_timer_new(m->console->loop, page_late, p);
		buf_init(&p->kept, METRICS_TEXT_MAX);
	}
}

static void pages_fini(struct metrics *m)
{
	for (int i = 0; i < PAGE_NONE; i++) {
		gather_forget(m->pages[i].gather);
		net_timer_free(m->pages[i].late);
		buf_fini(&m->pages[i].kept);
	}
}

struct metrics *metrics_new(struct console *c, int fd, struct error *e)
{
	struct metrics *m = base_alloc(sizeof(*m));
	int mine = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the library closes it */

	m->console = c;
	list_init(&m->requests);
	pages_init(m);
	m->timer = net_timer_new(c->loop, metrics_run, m);
	if (mine >= 0)
		m->http = http_start(m, mine);
	if (m->http)
		m->watch = net_watch_new(c->loop,
					 MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD)
						 ->epoll_fd,
					 metrics_run, m, e);
	else
		(void)error_set(e, ERROR_SYSTEM, "the HTTP server for metrics does not start");
	if (m->watch)
		return m;
	metrics_free(m);
	return NULL;
}

/* A suspended connection must not be there when the library ends, nor may the last turn make one:
 * the library would end the process. */
static void answer_all(struct metrics *m)
{
	m->is_closing = true;
	for (struct list *l = m->requests.next; l != &m->requests; l = l->next) {
		struct request *r = LIST_OF(l, struct request, link);
		if (r->is_suspended) {
			say(r, MHD_HTTP_SERVICE_UNAVAILABLE, STR("stopping"));
			request_resume(r);
		}
	}
	(void)MHD_run(m->http);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	net_watch_free(m->watch);
	pages_fini(m);
	if (m->http) {
		answer_all(m);
		MHD_stop_daemon(m->http);
	}
	net_timer_free(m->timer);
	free(m);
}
