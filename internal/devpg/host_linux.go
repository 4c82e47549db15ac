package devpg

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// canNest says that user namespaces may be tried.
const canNest = true

// nest makes the child see our own uid and gid as those given.
func nest(attr *syscall.SysProcAttr, uid, gid int) {
	attr.Cloneflags |= syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: syscall.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: syscall.Getegid(), Size: 1}}
}

const sharedMemory = "/dev/shm"

// roomySharedMemory reports whether /dev/shm is a tmpfs with more than 1 GiB
// free. Docker's default of 64 MB is not: Postgres itself can run out of it.
func roomySharedMemory() bool {
	const tmpfsMagic = 0x01021994
	var fs syscall.Statfs_t
	if syscall.Statfs(sharedMemory, &fs) != nil || fs.Type != tmpfsMagic {
		return false
	}
	return fs.Bavail*uint64(fs.Bsize) > 1<<30
}

// isZombie reports whether the process has ended and only waits to be reaped,
// which the first process of a container may never do.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}
