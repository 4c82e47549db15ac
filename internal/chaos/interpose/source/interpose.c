/* Stands between a Postgres server and the C library. A page that is shared with the
   harness says how far the clock is off and which part of the disk is full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct page {
	int64_t offset; /* of the clock, in microseconds */
	int64_t full;   /* bits: 1 tables, 2 write-ahead log */
};

static const volatile struct page *page;

/* Runs before main, and again after each exec: forked children inherit the mapping. */
__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("CHAOS_PAGE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		page = at;
	close(fd);
}

#define REAL(name) ((__typeof__(&name))real(&name##_at, #name))

static void *real(void **at, const char *name)
{
	if (!*at)
		*at = dlsym(RTLD_NEXT, name);
	return *at;
}

static void *clock_gettime_at, *write_at, *pwrite_at, *pwritev_at, *posix_fallocate_at;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int answer = REAL(clock_gettime)(id, ts);
	if (answer == 0 && id == CLOCK_REALTIME && page && page->offset) {
		int64_t ns = ts->tv_nsec + page->offset % 1000000 * 1000;
		int64_t carry = ns < 0 ? -1 : ns / 1000000000;
		ts->tv_sec += page->offset / 1000000 + carry;
		ts->tv_nsec = ns - carry * 1000000000;
	}
	return answer;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec ts;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return -1;
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

/* no_room says that a file would have to grow and may not. What is there can be written
   again, as on a real disk. */
static int no_room(int fd, off_t end)
{
	char link[32], path[4096];
	struct stat about;
	int64_t full = page ? page->full : 0;
	if (!full || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || end <= about.st_size)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return 0;
	path[n] = 0;
	if (strstr(path, "/pg_wal/"))
		return (full & 2) != 0;
	return (full & 1) != 0 && (strstr(path, "/base/") || strstr(path, "/global/") || strstr(path, "/pg_xact/"));
}

static int64_t refuse(void)
{
	errno = ENOSPC;
	return -1;
}

ssize_t write(int fd, const void *from, size_t n)
{
	off_t at = page && page->full ? lseek(fd, 0, SEEK_CUR) : -1;
	return at >= 0 && no_room(fd, at + n) ? refuse() : REAL(write)(fd, from, n);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
	return no_room(fd, at + n) ? refuse() : REAL(pwrite)(fd, from, n, at);
}

ssize_t pwritev(int fd, const struct iovec *from, int count, off_t at)
{
	size_t n = 0;
	for (int i = 0; i < count; i++)
		n += from[i].iov_len;
	return no_room(fd, at + n) ? refuse() : REAL(pwritev)(fd, from, count, at);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	return no_room(fd, at + n) ? ENOSPC : REAL(posix_fallocate)(fd, at, n);
}

#ifdef __GLIBC__ /* which has second names for the same where off_t has 64 bits */
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { return pwrite(fd, from, n, at); }
ssize_t pwritev64(int fd, const struct iovec *from, int count, off64_t at) { return pwritev(fd, from, count, at); }
int posix_fallocate64(int fd, off64_t at, off64_t n) { return posix_fallocate(fd, at, n); }
#endif
