//go:build !linux

package devpg

import "syscall"

// DieWithParent makes the child that is started with attr receive sig when the
// thread that started it ends. Only Linux has such a thing: here it does
// nothing.
func DieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
