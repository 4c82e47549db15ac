package devpg

import "syscall"

// DieWithParent makes the child that is started with attr receive sig when the
// thread that started it ends. Call runtime.LockOSThread before starting the
// child and keep that goroutine until the child has exited. Elsewhere than on
// Linux it does nothing.
func DieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
