//go:build unix

package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the operating-system user that the server runs as. The zero
// value is whoever runs this process.
type account struct {
	name     string
	uid, gid int
	switched bool // drop from root to uid and gid
	nested   bool // show our own uid as this one, in a user namespace
}

// accounts lists the users that we can run programs as and that Postgres
// accepts, best first.
func accounts() ([]account, error) {
	var usable []account
	failure := errors.New("/etc/passwd names neither postgres nor nobody")
	for _, a := range candidates() {
		if err := a.command("/bin/sh", "-c", ":").Run(); err != nil {
			failure = fmt.Errorf("%v: %w", a, err)
			continue
		}
		usable = append(usable, a)
	}
	if usable == nil {
		return nil, fmt.Errorf("uid %d is refused by Postgres, and no other can be had: %w", os.Geteuid(), failure)
	}
	return usable, nil
}

// candidates are the users to try. Postgres refuses uid 0, and initdb refuses a
// uid that has no name.
func candidates() []account {
	if os.Geteuid() != 0 {
		if _, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
			return []account{{}}
		}
		return nestedAccounts()
	}
	var found []account
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		if a, err := lookupAccount(name); err == nil {
			a.switched = true
			found = append(found, a)
		}
	}
	return append(found, nestedAccounts()...)
}

// nestedAccounts is the last resort where no other uid may be had: containers
// that map only uid 0, or run as a uid without a name. To the kernel the
// server then keeps our rights.
func nestedAccounts() []account {
	a, err := lookupAccount("nobody")
	if err != nil || !canNest {
		return nil
	}
	a.nested = true
	return []account{a}
}

func lookupAccount(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("uid of %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("gid of %s: %w", name, err)
	}
	return account{name: name, uid: int(uid), gid: int(gid)}, nil
}

// command prepares a program to run as the account, in a session of its own so
// that a Ctrl-C on the terminal does not reach it. It has no context: a server
// outlives the call that starts it.
func (a account) command(path string, args ...string) *exec.Cmd {
	cmd := &exec.Cmd{
		Path:        path,
		Args:        append([]string{path}, args...),
		Dir:         "/",
		Env:         serverEnvironment(os.Getenv),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	switch {
	case a.switched:
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	case a.nested:
		nest(cmd.SysProcAttr, a.uid, a.gid)
	}
	return cmd
}

// own gives a file or directory to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// fileOwner is the uid that files made by the account belong to.
func (a account) fileOwner() int {
	if a.switched {
		return a.uid
	}
	return os.Geteuid()
}

// String completes the sentence "it runs as …".
func (a account) String() string {
	switch {
	case a.switched:
		return "the account " + a.name
	case a.nested:
		return "the account " + a.name + " of a user namespace"
	}
	return "the current user"
}

// serverEnvironment is what a server program gets to see: nothing that changes
// how Postgres behaves or speaks, and none of our secrets, which SQL could read.
func serverEnvironment(getenv func(string) string) []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
